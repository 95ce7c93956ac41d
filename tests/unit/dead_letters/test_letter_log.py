"""In which order the letters of several partitions are read."""

from collections.abc import Iterator, Mapping
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.letter_log import LetterLog
from stream_app.dead_letters.office import Office
from stream_app.dead_letters.resolving import resolve
from stream_app.dead_letters.selection import Selection
from stream_app.kafka.log_reader import Step
from stream_app.records.places import PartitionId
from tests.unit.dead_letters.letters import LETTERS_ID, REPLAYS, Message, said

TOPIC = "letters"


class _Message(Message):
    def __init__(self, number: int, offset: int, at: float) -> None:
        about = said(offset=offset, partition=number)
        super().__init__(b"k", b"v", about.headers(), offset, at)
        self._number = number

    def partition(self) -> int:
        """Any."""
        return self._number


class _Reader:
    """Reads partitions in turns, so that those of one come between those of another."""

    def __init__(self, logs: Mapping[PartitionId, list[float]]) -> None:
        self._logs = logs
        self._left: list[tuple[PartitionId, int]] = []

    @property
    def is_done(self) -> bool:
        return not self._left

    @property
    def left(self) -> int:
        return len(self._left)

    def assign(self, ranges: Mapping[PartitionId, tuple[int, int]]) -> None:
        self._left = sorted(
            ((each, offset) for each, bounds in ranges.items() for offset in range(*bounds)),
            key=lambda place: (place[1], -place[0].number),
        )

    def read(self, most: int, _seconds: float) -> Iterator[Step]:
        for place, offset in self._left[:most]:
            message = _Message(place.number, offset, self._logs[place][offset])
            yield Step(place, offset, offset + 1, message)
        self._left = self._left[most:]

    def close(self) -> None:
        pass


def log_of(*times: list[float]) -> tuple[LetterLog, Any]:
    """The log of partitions whose letters were written at these times, and all of its offsets."""
    logs = {PartitionId(TOPIC, number): each for number, each in enumerate(times)}
    topic: Any = SimpleNamespace(name=TOPIC, topic_id=LETTERS_ID, partition_ids=list(logs))
    brokers: Any = SimpleNamespace(
        log_reader=lambda: _Reader(logs),
        starts=lambda _: dict.fromkeys(logs, 0),
        ends=lambda _, decided: {each: len(found) for each, found in logs.items()},
    )
    log = LetterLog(brokers, topic, "shop", REPLAYS)
    return log, log.ranges()


def times(letters: Iterator[Letter]) -> list[float]:
    """When they were written."""
    return [each.written_at for each in letters]


@given(st.lists(st.lists(st.integers(1, 50), max_size=250).map(sorted), min_size=1, max_size=3))
def test_by_their_times_they_come_in_either_direction(partitions: list[list[int]]) -> None:
    """However many slices of a partition that takes."""
    log, ranges = log_of(*[[float(at) for at in each] for each in partitions])
    expected = sorted(float(at) for each in partitions for at in each)
    assert times(log.oldest_first(ranges)) == expected
    assert times(log.newest_first(ranges)) == expected[::-1]
    assert sorted(times(log.as_they_come(ranges))) == expected
    for number in range(len(partitions)):
        offsets = [
            each.id.offset for each in log.oldest_first(ranges) if each.id.partition == number
        ]
        assert offsets == list(range(len(partitions[number])))
        offsets = [
            each.id.offset for each in log.newest_first(ranges) if each.id.partition == number
        ]
        assert offsets == list(range(len(partitions[number])))[::-1]


def office_of(log: LetterLog) -> Any:
    """As much of an office as selecting takes."""
    office: Any = SimpleNamespace(
        log=log, progress=lambda *_: None, topic=TOPIC, application="shop"
    )
    office.select = lambda *given, **how: Office.select(office, *given, **how)
    office.ranges = lambda selection: Office.ranges(office, selection)
    office.resolutions = lambda is_ensured: SimpleNamespace(of=lambda _: None)
    return office


def test_a_selection_of_no_places_selects_no_letter() -> None:
    """It is not the same as one that says nothing of places."""
    office = office_of(log_of([1.0], [2.0])[0])
    nothing = Selection(places=frozenset())
    assert office.ranges(nothing) == {}
    assert list(office.select(nothing, office.ranges(Selection()))) == []
    assert not nothing.is_everything


@pytest.mark.parametrize(
    ("chosen", "limit", "found"),
    [
        (None, None, (4, [])),
        (frozenset({(0, 0), (0, 9), (7, 0)}), None, (1, [(0, 9), (7, 0)])),
        (frozenset({(0, 0), (1, 1), (7, 0)}), 1, (1, [])),
        (frozenset({(1, 5)}), None, (0, [(1, 5)])),
    ],
)
def test_places_that_are_no_letters_are_told(chosen: Any, limit: Any, found: Any) -> None:
    """Where all that was asked for was looked for."""
    office = office_of(log_of([1.0, 3.0], [2.0, 4.0])[0])
    told = resolve(office, Selection(places=chosen), does_it=False, by="anna", note="", limit=limit)
    assert told == found
