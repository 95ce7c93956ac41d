"""Rebuilds the state of an application from its log while the current state goes on serving.

The command fills the next generation of the state and switches over when that has reached the ends
of the topics. Workers notice the switch at their next read or write, find the marks of the new
generation a little behind their own positions, and apply the records in between (`recovery`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from stream_app.features.stores import Progress
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers, open_brokers
from stream_app.kafka.errors import asked_by_command
from stream_app.kafka.topic_ids import TopicIds
from stream_app.observer.observer import Observer
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.recovery.assembly import make_log_replay
from stream_app.state.open_store import open_store
from stream_app.state.store_errors import ask
from stream_app.waiting.retry import Retry

__all__ = ["Rebuilt", "rebuild_state"]

_T = TypeVar("_T")

_CLOSE_RECORDS = 1_000
_ROUNDS = 10
"""After this many rounds the workers' own recovery closes the gap, however wide it is."""


@dataclass(frozen=True)
class Rebuilt:
    """What was done."""

    application: str
    generation: int
    """The generation that serves now."""
    partitions: int
    offsets: int
    """Offsets read again."""
    gone: dict[str, int]
    """First offset there is, of partitions whose log no longer begins at 0."""


def rebuild_state(
    settings: Settings,
    usecase: UseCase,
    *,
    since: float | None = None,
    progress: Callable[[int, int], None] = lambda _done, _total: None,
) -> Rebuilt:
    """Rebuild and switch over; raises `ConfigurationError` where there is no state to rebuild.

    `since`: from records of this timestamp on (seconds since the epoch), None: all there are.
    `progress` is told offsets read and offsets in all.
    """
    if not usecase.features.views:
        raise ConfigurationError(f"{usecase.name} declares no views: it has no state")
    application = settings.application or usecase.name
    observer = Observer()
    retry = Retry(
        initial_seconds=settings.backoff_initial_seconds,
        max_seconds=settings.backoff_max_seconds,
        observer=observer,
        refusal_seconds=settings.refusal_seconds,
    )
    asked = partial(_asked, retry)
    brokers = open_brokers(settings, application)
    store = open_store(settings, usecase, application, brokers)
    try:
        with asked_by_command():
            partitions = _partitions(brokers, [topic.name for topic in usecase.topics])
            partition_ids = list(partitions)
            log_starts = brokers.starts(partition_ids)
            ends = brokers.ends(partition_ids, decided=True)
            starts = dict(log_starts)
            if since is not None:
                found = brokers.first_at(partition_ids, since)
                starts = {p: ends[p] if found[p] is None else found[p] or 0 for p in partition_ids}
        sources = [p.source for p in partitions.values() if p.source is not None]
        ids = asked(partial(store.register, sources, adopt=True))
        successor = asked(store.successor)
        rebuild = make_log_replay(
            settings, usecase, application, brokers, successor, retry, observer
        )
        for (partition_id, partition), source_id in zip(partitions.items(), ids, strict=True):
            rebuild.begin(
                partition, starts[partition_id], ends[partition_id], source_id=source_id, applied=-1
            )
            if starts[partition_id] == ends[partition_id] > 0:
                # Nothing of it is to be applied: say so, or the workers would apply all there is.
                done = [Progress(source_id, -1, ends[partition_id] - 1)]
                asked(partial(successor.write, [], done))
        everything = list(partitions.values())
        for _ in range(_ROUNDS):
            total = sum(ends[partition_id] - starts[partition_id] for partition_id in partition_ids)
            while rebuild.step():
                progress(total - rebuild.remaining(everything), total)
            with asked_by_command():
                ends = brokers.ends(partition_ids, decided=True)
            for partition_id, partition in partitions.items():
                rebuild.extend(partition, ends[partition_id])
            if rebuild.remaining(everything) <= _CLOSE_RECORDS:
                break
        asked(successor.activate)
        asked(store.drop)
        return Rebuilt(
            application,
            successor.generation,
            len(partition_ids),
            sum(ends[partition_id] - starts[partition_id] for partition_id in partition_ids),
            {f"{partition_id}": start for partition_id, start in log_starts.items() if start},
        )
    finally:
        store.close()
        brokers.close()


def _asked(retry: Retry, call: Callable[[], _T]) -> _T:
    return retry("redis", partial(ask, call))


def _partitions(brokers: Brokers, names: list[str]) -> dict[PartitionId, Partition]:
    topics = brokers.topics(names)
    everything = [each for name in names for each in topics[name].partition_ids]
    identified = TopicIds(brokers, names).identify(everything)
    return dict(zip(everything, identified, strict=True))
