"""States recomputed from records and compared with a store's, without a broker."""

import json
import time
from collections.abc import Iterable, Sequence
from typing import Any

import pytest
from pydantic import SecretStr

from stream_app.audit.judging import Judge
from stream_app.audit.ledger import Ledger
from stream_app.audit.recompute import recompute
from stream_app.audit.report import RecomputeReport, Report
from stream_app.audit.wording import lines
from stream_app.config.settings import Settings
from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.engine.order import rank
from stream_app.features.events import Event, JsonDecoder, LogRecord
from stream_app.features.kinds import Apply, DecayedSums, Update
from stream_app.features.stores import MemoryStore, Source, StateWrite
from stream_app.features.stores.codec import StateCodec
from stream_app.features.usecase import InputTopic, Prediction, TimeBounds, UseCase
from stream_app.features.views import Entity, FeatureSet, View
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.wire.replays import Replay, Replays
from tests.unit.audit.messages import Headers, Message, message

SECRET = "correct-horse-battery"
PLACE = PartitionId("parcels", 0)
SOURCE = Source("cluster", "parcels-id", 0)
HOUR = 3_600.0


class Parcel(Event):
    """Only updates."""

    shop: Any
    note: str = ""


class Note:
    """A kind of state of a use case's own: text, of which a store keeps eight bytes."""

    width = 1
    format = "8s"

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {"kind": "note"}

    def empty(self) -> list[Any]:
        """Nothing yet."""
        return [b""]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Anything goes."""

    @property
    def apply(self) -> Apply:
        """Keep the newest."""
        return _take_note


def _take_note(values: list[Any], update: Update, _rank: int, _offset: int) -> None:
    if update[1] == "raise":
        raise ZeroDivisionError
    values[0] = update[1].encode()


def _note(event: Parcel) -> Update:
    if event.note == "no update":
        raise LookupError
    return (event.event_time, event.note)


SHOP = Entity("shop", lambda event: event.shop)
FEATURES = FeatureSet(
    views=(
        View(
            name="sent",
            entity=SHOP,
            state=DecayedSums(HOUR),
            on={Parcel: lambda event: (event.event_time,)},
            columns=(),
        ),
        View(name="notes", entity=SHOP, state=Note(), on={Parcel: _note}, columns=()),
    ),
    row_features=(),
    triggers=(),
)
USECASE = UseCase(
    name="parcels",
    topics=(InputTopic("parcels", JsonDecoder(Parcel), 1),),
    predictions_topic="predictions",
    dead_letters_topic="dead",
    features=FEATURES,
    prediction=Prediction,
    fields=lambda _outputs, _decision: [],
    champion="parcels/1",
    times=TimeBounds(ahead_seconds=60.0, behind_seconds=600.0),
)


def sent(
    offset: int,
    at: float,
    *,
    note: str = "hello",
    shop: Any = "north",
    headers: Headers = None,
    ahead: float = 0.0,
) -> Message:
    """A record at `at`, its timestamp `ahead` seconds later."""
    moment = f"{time.strftime('%Y-%m-%dT%H:%M:%S', time.gmtime(at))}Z"
    event = {"event_id": f"e{offset}", "event_time": moment, "shop": shop, "note": note}
    value = json.dumps(event).encode()
    made: Message = message(
        "parcels", 0, offset, value=value, headers=headers, seconds=int(at) + ahead
    )
    return made


class Bench:
    """A store, and what an audit finds that reads these records."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.store = MemoryStore(FEATURES)
        (self.number,) = self.store.register([SOURCE])
        self._patch = monkeypatch

    def apply(self, records: Sequence[Message], source: int = 0) -> None:
        """Apply records as a worker does."""
        engine = FeatureEngine(FEATURES)
        decoder = JsonDecoder(Parcel)
        arrivals = [
            Arrival(
                decoder(LogRecord(each.of_value)),
                source or self.number,
                rank(0, 0),
                each.offset(),
            )
            for each in records
        ]
        engine.gather(arrivals)
        assert all(arrival.error is None for arrival in arrivals)
        tables = engine.tables()
        engine.advance(arrivals, tables)
        writes = []
        for view, table in enumerate(tables):
            for entity, state in table.items():
                state.version = 1
                packed = StateCodec(FEATURES.views[view]).pack(state)
                writes.append(StateWrite(view, entity, 0, packed))
        assert self.store.write(writes, []) == []

    def audit(
        self,
        records: Sequence[Message],
        *,
        committed: int | None = None,
        refused: Sequence[int] = (),
    ) -> RecomputeReport:
        """Recompute; `refused`: offsets whose dead letters say that they changed no state."""
        end = max(each.offset() for each in records) + 1
        ledger = Ledger(0, end)
        ledger.not_applied(refused)
        batches: list[list[Any]] = [list(records), []]

        class Brokers:
            def ends(self, *_: Any, **__: Any) -> dict[PartitionId, int]:
                return {PLACE: end}

        self._patch.setattr(
            "stream_app.audit.recompute.read", lambda *_: iter([batches.pop(0)])
        )  # fmt: skip
        brokers: Any = Brokers()
        return recompute(
            brokers,
            self.store,
            USECASE,
            Judge(Settings(replay_secret=SecretStr(SECRET)), USECASE, HOUR),
            {PLACE: ledger},
            {PLACE: self.number},
            {PLACE: end if committed is None else committed},
            lambda _done, _total: None,
        )


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Bench:
    """An empty store."""
    return Bench(monkeypatch)


NOW = time.time()
LATELY = NOW - 300.0


def test_text_in_a_kind_of_state_of_its_own_is_compared(bench: Bench) -> None:
    """As the store gives it back: padded, or cut to what it keeps."""
    records = [sent(0, LATELY), sent(1, LATELY + 1, note="a longer note than is kept")]
    bench.apply(records)
    found = bench.audit(records)
    assert (found.states, found.equal) == (2, 2), found.as_json()
    other = [records[0], sent(1, LATELY + 1, note="else")]
    found = bench.audit(other)
    assert (found.equal, found.different) == (1, 1)
    assert "should hold" in found.differences[0].what


def test_replay_state_alone_makes_no_record_a_replay(bench: Bench) -> None:
    """Nor does a forged replay: both updated the state, and the account knows it."""
    origin = RecordId("x" * 22, 0, 0)
    forged: Any = [("replay-of", str(origin).encode()), ("replay-state", b"applied")]
    records = [
        sent(0, LATELY, headers=[("replay-state", b"applied")]),
        sent(1, LATELY, headers=forged),
    ]
    bench.apply(records)
    assert bench.audit(records).equal == 2
    genuine = sent(2, LATELY)
    headers: Any = Replays("parcels", SecretStr(SECRET)).headers(
        Replay(origin, applied=True), genuine.key(), genuine.value()
    )
    assert bench.audit([*records, genuine._replace(of_headers=headers)]).equal == 2
    assert bench.audit([*records, genuine]).different == 2


@pytest.mark.parametrize("held", [[], [1], [2], [1, 2]])
def test_a_dead_lettered_record_may_be_in_a_state_that_was_rebuilt(
    bench: Bench, held: list[int]
) -> None:
    """One that killed the process was not applied, unless the log was read again since."""
    records = [sent(n, LATELY + n) for n in range(4)]
    bench.apply([records[n] for n in (0, *held, 3)])
    assert bench.audit(records, refused=[1, 2]).equal == 2
    assert bench.audit(records).different == (0 if held == [1, 2] else 2)


def test_a_state_that_holds_another_record_than_the_log_is_different(bench: Bench) -> None:
    """No choice of records that may be in it explains its digest."""
    bench.apply([sent(0, LATELY), sent(5, LATELY + 1)])
    records = [sent(n, LATELY + n) for n in range(3)] + [sent(6, LATELY + 6)]
    found = bench.audit(records, refused=[1, 2], committed=1)
    assert found.different == 2, found.as_json()


@pytest.mark.parametrize("applied", [True, False])
def test_a_timestamp_ahead_of_the_worker_s_clock_is_no_difference(
    bench: Bench, applied: bool
) -> None:
    """The worker took its clock for it, and believed the event's time; nobody can tell that now."""
    long_ago = NOW - 2 * HOUR
    records = [sent(0, long_ago), sent(1, long_ago + 1, ahead=1_800.0)]
    bench.apply(records if applied else records[:1])
    assert bench.audit(records).equal == 2
    still_ahead = [sent(0, LATELY), sent(1, LATELY - 10 * HOUR, ahead=20 * HOUR)]
    assert bench.audit([*records, *still_ahead[1:]]).different == 0


@pytest.mark.parametrize("shop", [7, ["a", "list"], {}, True, "\ud800"])
def test_an_entity_that_is_no_text_updates_nothing(bench: Bench, shop: Any) -> None:
    """The worker dead-letters such a record; the audit goes on."""
    good = sent(0, LATELY)
    bench.apply([good])
    assert bench.audit([good, sent(1, LATELY, shop=shop)]).equal == 2


def test_a_function_of_the_declaration_that_raises_updates_nothing(bench: Bench) -> None:
    """In an update: no view takes the record. In a state's arithmetic: it cannot be compared."""
    good = sent(0, LATELY)
    bench.apply([good])
    assert bench.audit([good, sent(1, LATELY, note="no update")]).equal == 2
    found = bench.audit([good, sent(1, LATELY, note="raise")], committed=1)
    assert found.different == 0
    raising = sent(1, LATELY, note="raise")
    assert bench.audit([good, raising], refused=[1]).equal == 2  # as the worker's dead letter says
    found = bench.audit([sent(0, LATELY, note="raise")])
    assert (found.not_comparable, found.incomparable[0].view) == (1, "notes")


def test_where_no_state_can_be_compared_nothing_is_proven(bench: Bench) -> None:
    """States of a topic that is gone: status 2 and a sentence, not 'Nothing is missing'."""
    record = sent(0, LATELY)
    bench.apply([record], source=bench.number + 1)
    report = Report("parcels", doubles_fail=True)
    report.recomputed = bench.audit([record], committed=0)
    assert (report.recomputed.states, report.recomputed.not_comparable) == (2, 2)
    assert report.exit_status == 2
    assert list(lines(report))[-1] == "Not proven: 2 states, none of which could be compared."


def test_a_state_that_cannot_be_compared_is_not_proven_whatever_others_are(bench: Bench) -> None:
    """It may have lost an update of the topic that is gone: status 2, however many are equal."""
    record = sent(0, LATELY)
    bench.apply([record], source=bench.number + 1)
    report = Report("parcels", doubles_fail=True)
    report.recomputed = bench.audit([record], committed=0)
    report.recomputed.equal = 1
    assert report.exit_status == 2
    assert list(lines(report))[-1] == "Not proven: 2 states that could not be compared."
    report.recomputed.not_comparable = 0
    assert report.exit_status == 0


def test_a_state_that_lacks_an_update_is_different_whatever_else_it_holds(bench: Bench) -> None:
    """Updates of a topic that is gone hide no loss."""
    records = [sent(0, LATELY), sent(1, LATELY)]
    bench.apply(records[:1], source=bench.number + 1)
    found = bench.audit(records)
    assert (found.different, found.not_comparable) == (2, 0)
    assert "lacks 2 updates" in found.differences[0].what
