"""Stage decode: a reason for each record that is no event, and its neighbours pass."""

import math
import re
from typing import Any, Literal

import pytest
from pydantic import SecretStr

from stream_app.errors import ServiceAwayError, StoppingError
from stream_app.features.events import (
    Decoder,
    Event,
    InvalidEventError,
    JsonDecoder,
    Message,
    from_key,
    from_timestamp,
)
from stream_app.features.usecase import InputTopic, TimeBounds
from stream_app.observer.events import FirstSkipped, UnbelievedReplays, UnknownFields, WaitingBegan
from stream_app.observer.observer import Observer, on
from stream_app.predictor.decode import DecodeStage
from stream_app.records.failure import Failure
from stream_app.records.record import Record
from stream_app.records.record_id import RecordId
from stream_app.waiting.retry import Retry
from stream_app.wire.replays import Replay, Replays
from tests.unit.builders import NOW, partition, record, rfc3339, to_bytes
from tests.unit.observers import listening


class Paid(Event):
    kind: Literal["paid"]
    amount: float


PAYMENTS = partition(topic="payments")
MAX_BYTES = 300


def valid(**changes: Any) -> bytes:
    """A payment that happened now."""
    return to_bytes(
        **{"event_id": "p1", "event_time": rfc3339(NOW), "kind": "paid", "amount": 5.0} | changes
    )


DECODER = JsonDecoder(Paid)


class Stage:
    """The stage, and what it counted."""

    def __init__(self, times: TimeBounds | None = None, decoder: Decoder = DECODER) -> None:
        observer, self.told = listening(UnknownFields)
        self.decode = DecodeStage(
            {"payments": decoder},
            times or TimeBounds(ahead_seconds=100.0, behind_seconds=1_000.0),
            max_value_bytes=MAX_BYTES,
            observer=observer,
        )

    def reasons(self, *records: Record) -> list[str | None]:
        """The reason of each record's failure; None for an event."""
        return [item.failure and item.failure.reason for item in self.decode(records)]


@pytest.mark.parametrize(
    ("value", "reason"),
    [
        (None, "tombstone"),
        (b"", "empty-value"),
        (b"x" * (MAX_BYTES + 1), "value-too-large"),
        (b"\xff", "invalid-utf8"),
        (b"{", "invalid-json"),
        (b"[" * MAX_BYTES, "nesting-too-deep"),
        (b"7", "not-an-object"),
        (valid(kind="refunded"), "wrong-event-type"),
        (to_bytes(event_id="p1", event_time=rfc3339(NOW), kind="paid"), "missing-field"),
        (valid(amount="5"), "wrong-type"),
        (valid(event_id=""), "out-of-range"),
        (valid(amount=float("nan")), "not-finite"),
        (valid(event_time="2013-12-01T12:00:00.000"), "bad-time"),
        (valid(event_time=rfc3339(NOW + 101.0)), "time-out-of-range"),
        (valid(event_time=rfc3339(NOW - 1_001.0)), "time-out-of-range"),
        (valid(event_time="2099-01-01T00:00:00Z"), "time-out-of-range"),
    ],
)
def test_a_record_that_is_no_event_has_a_reason_and_its_neighbours_pass(
    value: bytes | None, reason: str
) -> None:
    """One bad record among good ones changes nothing for them, nor their order."""
    values = [valid(event_id="before"), value, valid(event_id="after")]
    items = Stage().decode([record(PAYMENTS, n, value) for n, value in enumerate(values)])
    before, bad, after = items
    assert (before.event.event_id, after.event.event_id) == ("before", "after")
    assert before.failure is after.failure is None
    assert bad.failure is not None
    assert (bad.failure.stage, bad.failure.reason) == ("decode", reason)
    assert bad.failure.disposition == "poison"
    assert [item.offset for item in items] == [0, 1, 2]


def test_a_failure_names_the_field_and_the_limit() -> None:
    """What a producer needs to mend it."""
    stage = Stage()
    (wrong, large) = stage.decode(
        [record(PAYMENTS, 0, valid(amount="5")), record(PAYMENTS, 1, b"x" * 400)]
    )
    assert wrong.failure is not None
    assert large.failure is not None
    assert wrong.failure.field == "amount"
    assert large.failure.message == "the value has 400 bytes, max_value_bytes is 300"


def test_the_largest_value_allowed_passes() -> None:
    """The limit is the last size that is taken."""
    value = valid(more="x" * (MAX_BYTES - len(valid(more=""))))
    assert len(value) == MAX_BYTES
    assert Stage().reasons(record(PAYMENTS, 0, value)) == [None]


def _refuse(message: Message) -> Event:
    raise InvalidEventError("bad-format", "not a payment", "head")


def _break_down(message: Message) -> Event:
    raise LookupError((message.value or b"").decode())


def test_a_decoder_of_ones_own_may_refuse_like_ours() -> None:
    """Its reason, message and field are taken over."""
    (item,) = Stage(decoder=_refuse).decode([record(PAYMENTS)])
    assert item.failure == Failure("decode", "bad-format", "not a payment", "head")


def test_a_decoder_that_raises_is_a_bug_and_is_named_by_its_type_and_line() -> None:
    """The text of a foreign exception may quote the payload."""
    (item,) = Stage(decoder=_break_down).decode([record(PAYMENTS, 0, b"secret")])
    assert item.failure is not None
    assert (item.failure.reason, item.failure.disposition) == ("decoder-error", "bug")
    told = r"the decoder: LookupError in _break_down \(unit/predictor/test_decode\.py:\d+\)"
    assert re.fullmatch(told, item.failure.message)


class _SilentError(InvalidEventError):
    """Says nothing, not even when it is asked."""

    def __init__(self) -> None:
        Exception.__init__(self)

    def __str__(self) -> str:
        raise RuntimeError("nothing to say")


def _silent(message: Message) -> Any:
    raise _SilentError


def _event(**fields: Any) -> Any:
    return lambda message: Event.model_construct(**fields)


@pytest.mark.parametrize(
    ("decoder", "reason"),
    [
        (_event(event_id="e", event_time=math.nan), "time-out-of-range"),
        (_event(event_id="e", event_time=math.inf), "time-out-of-range"),
        (_event(event_id="e", event_time="noon"), "invalid-event"),
        (_event(event_id="e", event_time=None), "invalid-event"),
        (_event(event_id="e"), "invalid-event"),
        (_event(event_time=NOW), "invalid-event"),
        (_event(event_id=7, event_time=NOW), "invalid-event"),
        (_event(event_id=None, event_time=NOW), "invalid-event"),
        (_event(event_id="\udfff", event_time=NOW), "invalid-event"),
        (lambda message: Event.__new__(Event), "invalid-event"),
        (lambda message: Event, "not-an-event"),
        (lambda message: {"event_id": "e", "event_time": NOW}, "not-an-event"),
        (_silent, "decoder-error"),
    ],
)
def test_what_an_own_decoder_gives_costs_one_record(decoder: Any, reason: str) -> None:
    """Whatever it is; the same before and after a good event of the same type."""

    def decode(message: Message) -> Event:
        good = Event.model_construct(event_id="ä", event_time=NOW)
        return good if message.value == b"good" else decoder(message)

    values = [b"bad", b"good", b"bad", b"good"]
    stage = Stage(decoder=decode)
    items = stage.decode([record(PAYMENTS, n, value) for n, value in enumerate(values)])
    assert [each.failure and each.failure.reason for each in items] == [reason, None] * 2
    assert len(items[0].failure.message) <= 500  # type: ignore[union-attr]


def test_a_record_that_is_refused_is_not_decoded() -> None:
    """Its headers are to blame, whatever its value is."""
    failure = Failure("decode", "invalid-headers", "no UTF-8")
    refused = Record(PAYMENTS, 0, NOW, b"key", valid(), None, failure)
    stage = Stage(decoder=_break_down)
    (item,) = stage.decode([refused])
    assert item.failure is failure


def test_times_are_judged_by_the_record_not_by_the_wall() -> None:
    """A backlog of old events is believed: each is near the time it was recorded at."""
    old = NOW - 1e8
    value = valid(event_time=rfc3339(old - 1_000.0))
    stage = Stage()
    assert stage.reasons(record(PAYMENTS, 0, value, timestamp=old)) == [None]
    assert stage.reasons(record(PAYMENTS, 0, value, timestamp=old + 1.0)) == ["time-out-of-range"]


def test_each_record_of_a_batch_is_judged_by_its_own_time() -> None:
    """Whatever lies beside it: what one record may say, another one may not."""
    old, new = NOW - 5_000.0, NOW
    times = [(old, old), (old, new), (new, old), (new, new)]
    values = [valid(event_time=rfc3339(event)) for _, event in times]
    records = [
        record(PAYMENTS, n, value, timestamp=timestamp)
        for n, ((timestamp, _), value) in enumerate(zip(times, values, strict=True))
    ]
    late = "time-out-of-range"
    assert Stage().reasons(*records) == [None, late, late, None]


def test_a_fixed_range_of_times() -> None:
    """A use case of historic events names the range itself; both ends belong to it."""
    stage = Stage(TimeBounds(earliest=1_000.0, latest=2_000.0))
    times = [999.0, 1_000.0, 2_000.0, 2_001.0]
    records = [record(PAYMENTS, n, valid(event_time=rfc3339(t))) for n, t in enumerate(times)]
    assert stage.reasons(*records) == ["time-out-of-range", None, None, "time-out-of-range"]


def test_unknown_fields_are_counted_by_topic() -> None:
    """Tolerated, once a call and not once a record."""
    stage = Stage()
    values = [valid(more=1, other=2), valid(), valid(more=3), valid(event_time="bad", more=1)]
    stage.decode([record(PAYMENTS, n, value) for n, value in enumerate(values)])
    assert stage.told == [UnknownFields("payments", 3)]


def test_nothing_to_decode() -> None:
    """An empty chunk counts nothing."""
    stage = Stage()
    assert stage.decode([]) == []
    assert stage.told == []


def test_a_replay_has_its_first_origin_and_a_forged_one_is_a_record_of_its_own() -> None:
    """Decoding believes what the check of replays believes, and nothing else."""
    replays = Replays("payments", SecretStr("only-the-replayer-knows-it"))
    origin = RecordId("t" * 22, 3, 41)
    genuine = replays.headers(Replay(origin, applied=True), b"key", valid())
    forged: Any = [("replay-of", str(origin).encode()), ("replay-state", b"applied")]
    observer, told = listening(UnbelievedReplays)
    stage = DecodeStage(
        {"payments": DECODER},
        TimeBounds(),
        max_value_bytes=MAX_BYTES,
        observer=observer,
        replays=replays,
    )
    no_replay: Any = [("replay-state", b"applied"), ("replay-token", b"x")]
    records = [
        record(PAYMENTS, number, valid(), headers=headers)
        for number, headers in enumerate((genuine, forged, [], no_replay, forged))
    ]
    made = stage(records)
    refused = stage([record(PAYMENTS, 5, b"{", headers=replays.headers(
        Replay(origin, applied=False), b"key", b"{"))])  # fmt: skip
    assert refused[0].failure is not None
    assert refused[0].first_origin == origin  # the flood breaker counts no replay, refused or not
    assert [(each.first_origin, each.applied_before) for each in made] == [
        (origin, True),
        (None, False),
        (None, False),
        (None, False),
        (None, False),
    ]
    assert told == [UnbelievedReplays(2)]


class Deleted(Event, id_from=from_key(), time_from=from_timestamp()):
    pass


def test_a_record_that_is_none_of_the_use_cases_is_skipped_and_told_once() -> None:
    """It is neither an event nor a failure, and its neighbours pass."""
    observer, told = listening(FirstSkipped)
    stage = DecodeStage(
        {"payments": lambda message: None if message.value == b"#" else DECODER(message)},
        TimeBounds(),
        max_value_bytes=MAX_BYTES,
        observer=observer,
    )
    items = stage([record(PAYMENTS, n, v) for n, v in enumerate([valid(), b"#", b"#", valid()])])
    assert [item.is_skipped for item in items] == [False, True, True, False]
    assert [item.failure for item in items] == [None] * 4
    assert [(each.partition, each.offset) for each in told] == [(PAYMENTS, 1)]


def test_a_tombstone_is_an_event_where_the_topic_declares_one() -> None:
    """Its times are judged as all others are; an empty value is none."""
    decoder = InputTopic("payments", Paid, tombstones=Deleted).decoder
    items = Stage(decoder=decoder).decode(
        [
            record(PAYMENTS, 0, None),
            record(PAYMENTS, 1, None, key=None),
            record(PAYMENTS, 2, b""),
            record(PAYMENTS, 3, valid()),
        ]
    )
    assert [type(item.event) for item in items] == [Deleted, type(None), type(None), Paid]
    assert items[0].event.event_id == "key"
    assert [item.failure and item.failure.reason for item in items] == [
        None,
        "missing-field",
        "empty-value",
        None,
    ]


class Vault:
    """A decoder that asks a service, which is away for the first calls."""

    def __init__(self, away: int, answer: Any = DECODER) -> None:
        self.away = away
        self.answer = answer

    def __call__(self, message: Message) -> Any:
        """Fail or answer."""
        if self.away:
            self.away -= 1
            raise ServiceAwayError("the vault", "it is being moved")
        return self.answer(message)


def waiting_stage(decoder: Any) -> tuple[DecodeStage, Retry, list[str]]:
    """A stage that waits, what ends its waits, and the services that it was told to wait for."""
    waits: list[str] = []
    observer = Observer([on(WaitingBegan, lambda it: waits.append(it.service))])
    retry = Retry(initial_seconds=0.0, max_seconds=0.0, observer=observer)
    stage = DecodeStage(
        {"payments": decoder},
        TimeBounds(),
        max_value_bytes=MAX_BYTES,
        observer=observer,
        retry=retry,
    )
    return stage, retry, waits


def _raise(message: Message) -> Any:
    raise LookupError


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        (DECODER, None),
        (lambda message: None, None),
        (_raise, "decoder-error"),
        (_refuse, "bad-format"),
        (lambda message: {}, "not-an-event"),
        (_event(event_id="e", event_time=math.nan), "time-out-of-range"),
    ],
)
def test_a_service_that_a_decoder_asks_is_waited_for(answer: Any, reason: str | None) -> None:
    """Under its name; then the record becomes what it would have been."""
    stage, _, waits = waiting_stage(Vault(4, answer))
    items = stage([record(PAYMENTS, n, valid()) for n in range(3)])
    assert waits == ["the vault"] * 3  # the first call only showed that it has to be waited for
    assert [item.failure and item.failure.reason for item in items] == [reason] * 3


class _SilentAwayError(ServiceAwayError):
    """Says nothing, not even which service."""

    def __init__(self) -> None:
        Exception.__init__(self)


def test_an_absence_that_names_no_service_is_waited_for_all_the_same() -> None:
    """A decoder may raise an exception of its own that is derived from ours."""
    away = [_SilentAwayError(), _SilentAwayError()]

    def decode(message: Message) -> Any:
        if away:
            raise away.pop()
        return DECODER(message)

    stage, _, waits = waiting_stage(decode)
    (item,) = stage([record(PAYMENTS, 0, valid())])
    assert item.failure is None
    assert waits == ["a decoder's service"]


def test_a_stop_interrupts_the_wait_for_a_decoders_service() -> None:
    """Nothing of the batch goes on, so that all of it is read again."""
    stage, retry, _ = waiting_stage(Vault(1_000_000))
    retry.stop()
    with pytest.raises(StoppingError, match="the vault"):
        stage([record(PAYMENTS, 0, valid())])


def test_without_somebody_who_waits_an_absence_is_raised() -> None:
    """The audit says that a service does not answer."""
    with pytest.raises(ServiceAwayError, match="being moved"):
        Stage(decoder=Vault(1)).decode([record(PAYMENTS, 0, valid())])


def test_a_decoder_that_raises_what_ends_a_wait_ends_nothing() -> None:
    """Only the worker stops the worker."""

    def stops(message: Message) -> Any:
        raise StoppingError("stop")

    stage, _, _ = waiting_stage(Vault(1, stops))
    items = stage([record(PAYMENTS, n, valid()) for n in range(2)])
    assert [item.failure and item.failure.reason for item in items] == ["decoder-error"] * 2
