"""The brokers themselves: how old they are, whether transactions may be made, and what their clocks say."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Final

from stream_app.config.settings import Settings
from stream_app.doctor.finding import Finding, error, ok, warning
from stream_app.features.usecase import UseCase
from stream_app.kafka.broker_releases import missing, release, requests_known
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.transaction_right import check_transaction_right

__all__ = ["clocks", "releases", "transactions"]

_SECONDS: Final = 20.0
"""A coordinator of transactions that has just started loads its log first."""
_CLOCK_SECONDS: Final = 5.0
_INSTANCE: Final = "doctor"
"""In the place of a worker's name, so that no worker loses its transactional id."""


def releases(settings: Settings) -> Iterator[Finding]:
    """Whether the brokers are new enough."""
    known = requests_known(settings.admin_properties(), _SECONDS)
    if not known:
        yield warning(
            "brokers", "librdkafka does not tell what they speak, so how old they are is not known"
        )
        return
    if (lack := missing(known, settings.group_protocol)) is not None:
        yield error("brokers", f"they are too old: {lack}")
        return
    yield ok("brokers", f"they speak what Kafka {release(known)} speaks, or a later one")


def transactions(settings: Settings, application: str) -> Iterator[Finding]:
    """Whether exactly once may be had: the right on transactional ids. No transaction is made."""
    if settings.delivery != "exactly_once":
        return
    properties = settings.transaction_properties(application, _INSTANCE)
    check_transaction_right(properties, _SECONDS)
    yield ok("transactions", f"ids that begin with {application}: are ours to use")


def clocks(brokers: Brokers, settings: Settings, usecase: UseCase) -> Iterator[Finding]:
    """Whether records were stamped by a clock that is ahead of the one here.

    One that is behind cannot be told from a record that came earlier; see `coordinator_clock` for brokers.
    """
    names = [topic.name for topic in usecase.topics]
    partitions = [p for topic in brokers.topics(names).values() for p in topic.partition_ids]
    newest: dict[str, float] = {}
    for place, at in brokers.newest_at(partitions).items():
        newest[place.topic] = max(at, newest.get(place.topic, at))
    now = time.time()
    told = brokers.settings(names)
    found = False
    for name, at in newest.items():
        by_broker = (told.get(name) or {}).get("message.timestamp.type") == "LogAppendTime"
        allowed = _CLOCK_SECONDS if by_broker else settings.clock_ahead_seconds
        if at - now > allowed:
            found = True
            yield warning("clocks", _ahead(name, at - now, by_broker=by_broker))
    if newest and not found:
        age = max(0.0, now - max(newest.values()))
        yield ok(
            "clocks", f"no event is stamped ahead of the clock here; the newest is {age:,.0f} s old"
        )


def _ahead(topic: str, seconds: float, *, by_broker: bool) -> str:
    if by_broker:
        whose = "the brokers stamp them (LogAppendTime), so their clock is ahead or the one here is behind"
    else:
        whose = (
            "a producer's clock is ahead or the one here is behind; the worker counts such a record as "
            "having come now, and waits or ends where most are so (clock_doubt)"
        )
    return f"the newest record of topic {topic} is stamped {seconds:,.0f} s ahead: {whose}; set all by NTP"
