"""Faust as its documentation shows it: an agent that iterates over events, or takes many at once.

The work is that of the hand-written loop; a batch of it has one event (``event``) or what `take` gives
(``take``). Redis is asked by a client that blocks: there is one agent, whose events are in order, so
nothing else could be done meanwhile.

Guarantees: Faust acknowledges an event when the agent asks for the next one, also when it raised, and
`take` acknowledges as well what is still in the producer's buffer; offsets are committed every 2.8
seconds. So a kill can lose predictions, or publish some twice. States count once, by the library's fences.

python -m benchmarks.contest.loops.faust_agents event|take
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
from collections.abc import Sequence
from typing import Any, Final

import faust

from benchmarks.contest.loops.library import Consumed, FeatureWork
from benchmarks.contest.surroundings import Surroundings

__all__ = ["make_app"]

_TAKE: Final = 1_000
_WITHIN_SECONDS: Final = 0.05


def make_app(surroundings: Surroundings, *, takes: bool) -> Any:
    """The app with its one agent."""
    work, counter = FeatureWork(surroundings), surroundings.counter()
    app = faust.App(
        surroundings.group,
        broker=f"kafka://{surroundings.bootstrap}",
        value_serializer="raw",
        key_serializer="raw",
        consumer_auto_offset_reset="earliest",
        web_enabled=False,
        topic_disable_leader=True,
        datadir=tempfile.mkdtemp(prefix="contest-faust-"),
    )
    source = app.topic(*work.topics, value_type=bytes, key_type=bytes)
    sinks = {name: app.topic(name) for name in (work.predictions, work.dead_letters)}

    async def process(events: Sequence[Any]) -> None:
        done = work.compute(
            Consumed(m.topic, m.partition, m.offset, m.key, m.value)
            for m in (event.message for event in events)
        )
        for topic, key, value, headers in done.outgoing:
            await sinks[topic].send(key=key, value=value, headers=headers)
        work.write(done)
        counter.add(done.records)

    if takes:

        @app.agent(source)  # type: ignore[untyped-decorator]
        async def batches(stream: Any) -> None:
            async for events in stream.take_events(_TAKE, within=_WITHIN_SECONDS):
                await process(events)
    else:

        @app.agent(source)  # type: ignore[untyped-decorator]
        async def one_by_one(stream: Any) -> None:
            async for event in stream.events():
                await process([event])

    return app


def main() -> None:
    """Run a Faust worker in this process."""
    surroundings = Surroundings.read()
    app = make_app(surroundings, takes="take" in sys.argv[1:])
    os.chdir(tempfile.gettempdir())
    faust.Worker(app, loglevel=logging.WARNING, redirect_stdouts=False).execute_from_commandline()


if __name__ == "__main__":
    main()
