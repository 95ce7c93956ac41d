"""The path of a record where its stages meet."""

import asyncio
import threading
from types import SimpleNamespace
from typing import Any

import pytest

from features.stores import StateLostError
from stream_app.enrich import HalfAppliedError
from stream_app.metrics import Metrics
from stream_app.pipeline import Pipeline
from stream_app.records import Batch
from stream_app.watchdog import Watchdog
from tests.unit.stream_app.builders import batch, item, partition


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

    finished: list[int] = []
    stages = SimpleNamespace(
        commit=SimpleNamespace(finished=lambda one, committed: finished.append(one.number)),
        publish=Publish(),
        state=State(),
        recovery=Recovery(),
    )

    async def deliver() -> None:
        pipeline = Pipeline(
            stages,  # type: ignore[arg-type]
            Metrics(),
            Watchdog(60.0),
            depth=2,
            on_finished=lambda _: None,
            on_crash=lambda _: None,
        )
        for number in (1, 2):
            pipeline._deliver(batch(number, [item(partition(), number)]))

    asyncio.run(deliver())
    assert (written, finished, len(lost)) == ([], [1, 2], 1)


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
    stages = SimpleNamespace(
        commit=SimpleNamespace(
            admit=lambda items: (items, {}),
            abandoned=lambda _: steps.append("abandoned"),
            settle=lambda _, timeout: steps.append("settled"),
        ),
        state=State(),
        enrich=Enrich(),
        score=lambda _: steps.append("scored"),
        outgoing=lambda _: None,
        recovery=SimpleNamespace(ready=lambda: None, admitted=lambda _: None),
    )

    async def compute() -> Batch:
        pipeline = Pipeline(
            stages,  # type: ignore[arg-type]
            Metrics(),
            Watchdog(60.0),
            depth=2,
            on_finished=lambda _: None,
            on_crash=lambda _: None,
        )
        return pipeline._compute_batch(one)

    assert asyncio.run(compute()).items == one
    assert steps == ["enriched 1", "abandoned", "settled", "forgotten", "enriched 1", "scored"]


def test_what_is_finished_after_the_worker_has_ended_leaves_no_traceback(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """A delivery may take longer than the worker waits when it stops."""
    let_go = threading.Event()

    async def end_without_waiting() -> Pipeline:
        pipeline = Pipeline(
            SimpleNamespace(commit=SimpleNamespace(), recovery=SimpleNamespace()),  # type: ignore[arg-type]
            Metrics(),
            Watchdog(60.0),
            depth=2,
            on_finished=lambda _: None,
            on_crash=lambda _: None,
        )
        late = pipeline._deliver_thread.submit(let_go.wait, 30.0)
        late.add_done_callback(pipeline._on_loop(lambda _: None))
        return pipeline

    pipeline = asyncio.run(end_without_waiting())
    let_go.set()
    pipeline._deliver_thread.shutdown(wait=True)
    assert caplog.records == []
