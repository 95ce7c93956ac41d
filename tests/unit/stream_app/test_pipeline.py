"""The path of a record where its stages meet."""

import asyncio
from types import SimpleNamespace
from typing import Any

from features.stores import StateLostError
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
