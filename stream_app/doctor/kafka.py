"""Brokers, topics and rights, as a worker with these settings would need them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from stream_app.config.settings import Settings
from stream_app.dead_letters.resolutions import resolutions_topic
from stream_app.doctor.finding import Finding, Level, error, ok, warning
from stream_app.features.usecase import UseCase
from stream_app.flood.standing import find_standing
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.co_partitioning import apart
from stream_app.kafka.output_topics import OutputTopics
from stream_app.kafka.retention import retention_seconds
from stream_app.kafka.topic_ids import TopicIds
from stream_app.kafka.topic_records import not_readable_if_there
from stream_app.text.moments import in_utc
from stream_app.text.named import named
from stream_app.wire.assembly import make_emitters

__all__ = ["event_topics", "floods", "letters", "offsets", "topics_out", "weaknesses"]

_DAY: Final = 86_400.0


def event_topics(brokers: Brokers, usecase: UseCase) -> Iterator[Finding]:
    """The topics of events: there, ours to read, and kept long enough for the state."""
    names = [topic.name for topic in usecase.topics]
    partitions = TopicIds(brokers, names).partitions()
    told = ", ".join(f"{name} ({count} partitions)" for name, count in partitions.items())
    if forbidden := brokers.not_readable(names):
        yield error("events", f"the worker may not read topic {forbidden[0]}: grant it Read on it")
    else:
        yield ok("events", told)
    if (said := apart(partitions)) is not None and usecase.features.views:
        yield warning("events", said)
    settings = brokers.settings(names)
    for name in names:
        yield from _kept(name, settings.get(name), usecase)
    yield from _copies(brokers, names, settings, "events")


def topics_out(brokers: Brokers, settings: Settings, usecase: UseCase) -> Iterator[Finding]:
    """The topics of predictions and dead letters, by the very look that a start takes."""
    emitters = make_emitters(settings, usecase, "").in_order
    found: list[str] = []
    topics = OutputTopics(
        brokers,
        emitters,
        max_value_bytes=settings.max_value_bytes,
        transactional=settings.delivery == "exactly_once",
        warn=found.append,
    )
    topics.check()
    names = list(dict.fromkeys(emitter.topic for emitter in emitters))
    yield ok("topics out", f"{', '.join(names)}: there, and ours to write to")
    for text in found:
        yield warning("topics out", text)
    yield from _copies(brokers, names, brokers.settings(names), "topics out")


def letters(
    brokers: Brokers, settings: Settings, usecase: UseCase, application: str
) -> Iterator[Finding]:
    """Whether a rebuild of the state may see which records failed, and which were replayed."""
    if not usecase.features.views:
        return
    names = [usecase.dead_letters_topic, resolutions_topic(settings, application)]
    if forbidden := not_readable_if_there(brokers, names):
        yield warning(
            "dead letters",
            f"the worker may not read {', '.join(forbidden)}: a rebuild of the state may count a record "
            "that failed, and its replay as well; grant it Read",
        )


def offsets(brokers: Brokers, application: str, usecase: UseCase) -> Iterator[Finding]:
    """Where the group stands, whether it is ours to read, and its offsets are still in the logs."""
    brokers.check_group_right(application)
    partitions = [
        each
        for topic in brokers.topics([topic.name for topic in usecase.topics]).values()
        for each in topic.partition_ids
    ]
    committed = brokers.committed(partitions)
    starts, ends = brokers.starts(committed), brokers.ends(committed)
    lost = [each for each, found in committed.items() if found.offset < starts[each]]
    beyond = [each for each, found in committed.items() if found.offset > ends[each]]
    if lost:
        yield error(
            "group",
            f"group {application} stands before the beginning of {named(lost)}: retention took "
            "records that were not done; on_gone says what a worker does",
        )
    if beyond:
        yield error(
            "group",
            f"group {application} stands behind the end of {named(beyond)}: the topic was made "
            "anew, or its log was truncated",
        )
    if not lost and not beyond:
        done = f"offsets of {len(committed)} of {len(partitions)} partitions"
        yield ok("group", f"{application}: {done}; members: {len(brokers.members(application))}")


def floods(brokers: Brokers, usecase: UseCase) -> Iterator[Finding]:
    """The partitions that the flood breaker has stopped, or lets through slowly.

    A worker starts all the same, and the one that is to mend it must not be kept from that.
    """
    found = find_standing(brokers, usecase)
    for each in found:
        if each.is_stopped:
            yield warning(
                "flood",
                f"{each.partition} is stopped at offset {each.note.offset} since "
                f"{in_utc(each.note.since)}, for too many records were refused; {each.waiting:,} wait, and "
                "nothing is lost: `stream-app resume` says what can be done",
            )
        else:
            yield ok("flood", f"{each.partition} goes on slowly, up to offset {each.note.offset}")
    if not found:
        yield ok("flood", "no partition is stopped")


def _kept(name: str, config: Mapping[str, str] | None, usecase: UseCase) -> Iterator[Finding]:
    """Whether the log of a topic reaches as far back as the state is read."""
    if not usecase.features.views:
        return
    if config is None:
        yield warning(
            "events",
            f"the settings of topic {name} are not told: grant DescribeConfigs on it, or states "
            "do not expire and nobody sees that the log is too short to rebuild them",
        )
        return
    kept = retention_seconds(config)
    needed = [view.ttl_seconds for view in usecase.features.views if view.ttl_seconds is not None]
    if kept is None:
        return
    if "compact" in config.get("cleanup.policy", ""):
        yield warning(
            "events",
            f"topic {name} is compacted: state that is rebuilt from it lacks what compaction took",
        )
    if len(needed) < len(usecase.features.views) or kept < max(needed):
        need = f"{max(needed) / _DAY:.1f} days" if needed else "all records"
        yield warning(
            "events",
            f"topic {name} keeps records for {kept / _DAY:.1f} days, and its views read {need}: state "
            "that Redis loses is rebuilt from what is left; raise retention.ms, or keep Redis safe",
        )


def _copies(
    brokers: Brokers,
    names: Sequence[str],
    settings: Mapping[str, Mapping[str, str] | None],
    about: str,
) -> Iterator[Finding]:
    """How many brokers may fail before records are lost, or none are taken."""
    found: dict[tuple[Level, str], list[str]] = {}
    for name in names:
        config = settings.get(name) or {}
        for weakness in weaknesses(
            brokers.in_sync(name), int(config.get("min.insync.replicas", "1"))
        ):
            found.setdefault(weakness, []).append(name)
    for (level, text), weak in found.items():
        yield Finding(level, about, f"{', '.join(weak)}: {text}")


def weaknesses(in_sync: Mapping[int, tuple[int, int]], least: int) -> Iterator[tuple[Level, str]]:
    """What of a topic's copies puts records at risk.

    `in_sync`: by partition, how many replicas are in sync and how many there are; `least`: of
    min.insync.replicas.
    """
    replicas = min((count for _, count in in_sync.values()), default=0)
    stopped = [number for number, (ours, _) in in_sync.items() if ours < least]
    behind = [number for number, (ours, count) in in_sync.items() if least <= ours < count]
    if least > replicas:
        yield (
            Level.ERROR,
            (
                f"{replicas} replicas and min.insync.replicas={least}, so nothing can be written: set "
                "min.insync.replicas lower, or use more replicas"
            ),
        )
        return
    if stopped:
        yield (
            Level.ERROR,
            (
                f"of partitions {', '.join(map(str, stopped))} fewer replicas are in sync than "
                f"min.insync.replicas={least}, so nothing is written to them: bring their brokers back"
            ),
        )
    if behind:
        yield (
            Level.WARNING,
            f"of partitions {', '.join(map(str, behind))} not all replicas are in sync",
        )
    if replicas == 1:
        yield (
            Level.WARNING,
            (
                "kept by one broker; when that one is lost, so are the records: use three replicas and "
                "min.insync.replicas=2"
            ),
        )
    elif least == 1:
        yield (
            Level.WARNING,
            (
                "min.insync.replicas=1, so a record that one broker alone has taken counts as "
                "acknowledged, and is lost with it: set it to 2"
            ),
        )
    elif least == replicas:
        yield (
            Level.WARNING,
            (
                f"{replicas} replicas and min.insync.replicas={least}, so nothing is written while one "
                "broker is away: use one replica more"
            ),
        )
