"""The path of a record where its stages meet."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from stream_app.features.stores import StateLostError
from stream_app.observer.events import BatchFinished
from stream_app.observer.observer import Observer
from stream_app.predictor.enrich import HalfAppliedError
from stream_app.records.records import Batch
from stream_app.worker.deliver_thread import DeliverThread
from stream_app.worker.pipeline import Pipeline
from tests.unit.builders import batch, item, partition
from tests.unit.observers import listening


def test_after_a_loss_nothing_is_written_until_it_was_looked_for() -> None:
    """The batches behind it would hide that those before them are missing."""
    written: list[int] = []
    lost: list[StateLostError] = []

    class State:
        """Loses its first batch."""

        def write(self, one: Batch, _before_waiting: Any) -> None:
            """Refuse the first."""
            if one.number == 1:
                raise StateLostError("a mark is behind")
            written.append(one.number)

    class Recovery:
        """Takes note."""

        def lost(self, error: StateLostError) -> None:
            """Of a loss."""
            lost.append(error)

        @property
        def is_lost(self) -> bool:
            """Nobody has looked yet."""
            return bool(lost)

    class Publish:
        """Publishes at once."""

        commits_offsets = False

        def __call__(self, _one: Batch) -> None:
            """All is acknowledged."""

        def finish(self, one: Batch) -> list[Batch]:
            """It is finished."""
            return [one]

        def suspend(self) -> None:
            """Nothing is open."""

    publish: Any = Publish()
    commit: Any = SimpleNamespace(finished=lambda _one, committed: None)
    stages = SimpleNamespace(
        commit=commit,
        publish=publish,
        state=State(),
        recovery=Recovery(),
    )

    observer, finished = listening(BatchFinished)
    crashes: list[BaseException] = []

    async def deliver() -> None:
        pipeline = Pipeline(
            stages,  # type: ignore[arg-type]
            DeliverThread(publish, commit, observer, on_crash=crashes.append),
            observer,
            depth=2,
        )
        for number in (1, 2):
            pipeline._deliver(batch(number, [item(partition(), number)]))

    asyncio.run(deliver())
    assert [event.batch.number for event in finished] == [1, 2]
    assert (written, crashes, len(lost)) == ([], [], 1)


def test_where_states_are_half_updated_all_is_finished_forgotten_and_done_again() -> None:
    """The same records, once no other batch is under way."""
    steps: list[str] = []

    class State:
        """Notes what is forgotten."""

        conflicted = threading.Event()

        def forget_all(self) -> None:
            """Also that there was a conflict."""
            self.conflicted.clear()
            steps.append("forgotten")

    class Enrich:
        """Fails half way, once."""

        def __call__(self, one: Batch) -> None:
            """The second time record by record."""
            steps.append(f"enriched {len(one.items)}")
            if len(steps) == 1:
                raise HalfAppliedError("half")

    one = [item(partition(), 0)]
    publish: Any = SimpleNamespace(commits_offsets=False)
    stages = SimpleNamespace(
        commit=SimpleNamespace(
            admit=lambda items: (items, {}),
            abandoned=lambda _: steps.append("abandoned"),
            settle=lambda *_: steps.append("settled"),
        ),
        state=State(),
        enrich=Enrich(),
        score=lambda _: steps.append("scored"),
        outgoing=lambda _: None,
        recovery=SimpleNamespace(
            ready=lambda: None, admitted=lambda _: None, rebuilding=frozenset()
        ),
    )

    async def compute() -> Batch:
        pipeline = Pipeline(
            stages,  # type: ignore[arg-type]
            DeliverThread(publish, stages.commit, Observer(), on_crash=pytest.fail),
            Observer(),
            depth=2,
        )
        return pipeline._compute_batch(one)

    assert asyncio.run(compute()).items == one
    assert steps == ["enriched 1", "abandoned", "settled", "forgotten", "enriched 1", "scored"]
