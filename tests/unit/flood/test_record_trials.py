"""Which of the newest records of a stopped partition say that its producer was mended."""

from collections.abc import Iterator, Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stream_app.flood import record_trials
from stream_app.flood.record_trials import NewestTried, RecordTrials
from stream_app.records.failure import Failure
from stream_app.records.item import Item
from stream_app.records.places import id_of
from stream_app.records.record import Record
from stream_app.records.record_id import RecordId
from tests.unit.builders import batch, item, partition

AT = partition()


class Log(RecordTrials):
    """Trials of records of which a text says what the worker would make, a letter each.

    p: it passes; r: it is refused; s: it is skipped; P and R: a replay; a space: a marker.
    """

    def __init__(self, fates: str, *, newest_records: int = 3) -> None:
        brokers = SimpleNamespace(
            ends=lambda _, decided: {id_of(AT): len(fates)}, starts=lambda _: {id_of(AT): 0}
        )
        state = SimpleNamespace(register=lambda _: None, forget_all=lambda: None)
        super().__init__(
            brokers,  # type: ignore[arg-type]
            _Predictor(state, self._item),  # type: ignore[arg-type]
            lambda _: None,  # type: ignore[arg-type]
            newest_records=newest_records,
            stopped=lambda: False,
        )
        self.fates = fates
        self.tried: list[int] = []

    def _read(self, partition: Any, start: int, end: int) -> list[Any]:
        return list(_messages(self.fates, start, end))

    def _item(self, record: Record) -> Item:
        self.tried.append(record.offset)
        made, fate = item(AT, record.offset), self.fates[record.offset]
        if fate in "rR":
            made.failure = Failure("decode", "invalid-json", "no")
        if fate in "rRs":
            made.event = None  # type: ignore[assignment]
        if fate in "PR":
            made.first_origin = RecordId("t" * 22, 0, 0)
        return made


class _Predictor:
    def __init__(self, state: Any, make: Any) -> None:
        self.state = state
        self._make = make

    def __call__(self, records: Sequence[Record]) -> Any:
        return batch(1, [self._make(record) for record in records])


def _messages(fates: str, start: int, end: int) -> Iterator[Any]:
    for offset in range(start, end):
        if fates[offset] != " ":
            yield SimpleNamespace(
                timestamp=lambda: (1, 0), headers=lambda: None, offset=lambda at=offset: at,
                key=lambda: None, value=lambda: b"",
            )  # fmt: skip


@pytest.mark.parametrize(
    ("fates", "pass_"),
    [
        ("rrrrppp", True),
        ("rrrrpp", False),
        ("rpprppp", True),
        ("rrpprpp", False),
        ("rppps" + "s" * 1_000, True),
        ("r" + "s" * 1_000, False),
        ("rr" + "P" * 100, False),
        ("rrppRp", True),
        ("rrppPrP", False),
        ("rrp p p " + " " * 3_000, True),
    ],
)
def test_those_count_that_the_breaker_counts(fates: str, pass_: bool) -> None:
    """Neither what is skipped nor a replay says anything of a producer, in either direction."""
    assert Log(fates).newest(AT, 0) == NewestTried(pass_, len(fates))


def test_no_record_is_tried_behind_the_one_that_decides() -> None:
    """Backwards, up to the first that is refused, or the last that is asked for."""
    log = Log("rrrppprp")
    log.newest(AT, 0)
    assert log.tried == [7, 6]


def test_it_looks_so_far_and_no_further(monkeypatch: pytest.MonkeyPatch) -> None:
    """A topic of which next to nothing is ours: an operator has to say that it may go on."""
    monkeypatch.setattr(record_trials, "_PASSED_OVER", 50)
    log = Log("rppp" + "s" * 100)
    assert not log.newest(AT, 0).pass_
    assert len(log.tried) == 50
