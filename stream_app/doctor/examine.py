"""Every look at a deployment, in the order in which a worker would stumble."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from functools import partial

from stream_app.config.settings import Settings
from stream_app.doctor.brokers import clocks, releases, transactions
from stream_app.doctor.coordinator_clock import coordinator_clock
from stream_app.doctor.finding import Finding, error, ok, told_once, tried
from stream_app.doctor.kafka import event_topics, floods, letters, offsets, topics_out
from stream_app.doctor.redis import redis
from stream_app.errors import ConfigurationError
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers, open_brokers
from stream_app.models.errors import ModelRefusedError
from stream_app.models.loading import load_version
from stream_app.models.usecase_faults import usecase_faults
from stream_app.state.open_store import open_store

__all__ = ["examine"]


def examine(settings: Settings, usecase: UseCase) -> Iterator[Finding]:
    """What is found; nothing is written, and no group is joined."""
    application = settings.application or usecase.name
    yield from tried("settings", lambda: _settings(settings, usecase))
    yield from tried("models", lambda: _models(settings, usecase))
    yield from told_once(tried("kafka", lambda: _kafka(settings, application, usecase)))
    if usecase.features.views:
        yield from tried("redis", lambda: _redis(settings, usecase, application))
    else:
        yield ok("redis", "not needed: no view is declared")


def _settings(settings: Settings, usecase: UseCase) -> Iterator[Finding]:
    settings.check_kafka_properties()
    yield ok("settings", f"{settings.application or usecase.name}, {settings.delivery}")


def _models(settings: Settings, usecase: UseCase) -> Iterator[Finding]:
    for fault in usecase_faults(usecase):
        yield error("models", fault)
    for name in usecase.models:
        try:
            yield ok("models", f"{name}: {load_version(settings.artifacts / name, usecase)}")
        except ModelRefusedError as refused:
            yield error("models", str(refused))


def _kafka(settings: Settings, application: str, usecase: UseCase) -> Iterator[Finding]:
    with closing(open_brokers(settings, application)) as brokers:
        yield ok("kafka", f"reached at {settings.bootstrap_servers}")
        for about, look in _looks(brokers, settings, application, usecase).items():
            yield from tried(about, look)


def _looks(
    brokers: Brokers, settings: Settings, application: str, usecase: UseCase
) -> dict[str, partial[Iterator[Finding]]]:
    return {
        "brokers": partial(releases, settings),
        "events": partial(event_topics, brokers, usecase),
        "clocks": partial(clocks, brokers, settings, usecase),
        "topics out": partial(topics_out, brokers, settings, usecase),
        "dead letters": partial(letters, brokers, settings, usecase, application),
        "transactions": partial(transactions, settings, application),
        "group": partial(offsets, brokers, application, usecase),
        "the coordinator's clock": partial(coordinator_clock, brokers, application),
        "flood": partial(floods, brokers, usecase),
    }


def _redis(settings: Settings, usecase: UseCase, application: str) -> Iterator[Finding]:
    from stream_app.features.stores.redis import RedisStore

    store = open_store(settings, usecase, application)
    if not isinstance(store, RedisStore):
        raise ConfigurationError("the state of this use case is not kept in Redis")
    with closing(store):
        yield from redis(store)
