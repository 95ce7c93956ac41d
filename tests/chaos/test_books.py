"""What a state must hold of a topic that was deleted."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine, Tables
from stream_app.features.stores import MemoryStore, Progress, Source, StateWrite
from stream_app.features.stores.codec import StateCodec
from tests.chaos.books import Books
from tests.chaos.history import History, Incarnation
from tests.integration.testbed import Testbed
from tests.integration.worker import Out
from tests.usecases import regression

USECASE = regression.make_usecase()
FEATURES = USECASE.features
TOPIC = USECASE.topics[0].name
NOW = 1.4e9


class TestbedInMemory(Testbed):
    """A use case without brokers and Redis."""

    def __init__(self) -> None:
        self.usecase = USECASE
        self.memory = MemoryStore(FEATURES)

    @contextmanager
    def store(self) -> Iterator[Any]:
        """The states."""
        yield self.memory


def _readings() -> list[Out]:
    """Of one meter, on one partition of the topic as it was."""
    events = [
        {"event_id": f"e{n}", "event_time": regression.iso(NOW + n), "meter": "m", "area": "a",
         "kilowatts": 1.0 + n}
        for n in range(7)
    ]  # fmt: skip
    return [
        Out(TOPIC, 0, n, NOW + n, b"m", json.dumps(event).encode(), [])
        for n, event in enumerate(events)
    ]


RECORDS = _readings()
OLD = Incarnation(TOPIC, "old", "cluster", RECORDS, {0: 0})


def difference(of_meters: Sequence[int], of_areas: Sequence[int], *, mark: int) -> str | None:
    """What is found where states hold these records, and the mark says so much."""
    bed = TestbedInMemory()
    log = list(bed.log(RECORDS))
    (source,) = bed.memory.register([Source("cluster", "old", 0)])

    def applied(offsets: Sequence[int]) -> Tables:
        arrivals = [
            Arrival(event, source, rank, out.offset) for out, rank, event in log
            if out.offset in offsets
        ]  # fmt: skip
        engine = FeatureEngine(FEATURES)
        engine.gather(arrivals)
        tables = engine.tables()
        engine.advance(arrivals, tables)
        return tables

    meters, areas = applied(of_meters), applied(of_areas)
    writes = [
        StateWrite(number, entity, 0, StateCodec(view).pack(state))
        for number, view in enumerate(FEATURES.views)
        for entity, state in (meters if view.name.startswith("meter") else areas)[number].items()
    ]
    assert bed.memory.write(writes, [Progress(source, -1, mark)]) == []
    relabelled = OLD.relabelled()
    books = Books(
        {},
        [(relabelled[out.offset], rank, event) for out, rank, event in log],
        {OLD.label: "old"},
        "cluster",
        History([OLD]),
    )
    return books.state_difference(bed, {})


def test_all_through_the_mark_must_be_there() -> None:
    """And the first record behind it need not be."""
    assert difference(range(5), range(5), mark=4) is None
    assert "applied 4 updates, not 5" in str(difference(range(5), (0, 1, 2, 4), mark=4))


def test_a_batch_whose_writing_was_cut_short_is_in_some_states() -> None:
    """A worker had written them, and ended before others and the mark: nobody writes those now."""
    assert difference(range(7), range(5), mark=4) is None
    assert "applied 6 updates, not 7" in str(difference((0, 1, 2, 3, 4, 6), range(5), mark=4))
