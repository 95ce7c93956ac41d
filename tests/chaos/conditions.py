"""Conditions of a whole round: topics out that take less than usual."""

from collections.abc import Mapping
from dataclasses import dataclass

from confluent_kafka.admin import (  # type: ignore[attr-defined]  # it re-exports silently
    AdminClient,
    AlterConfigOpType,
    ConfigEntry,
    ConfigResource,
    ResourceType,
)

from stream_app.features.usecase import UseCase

__all__ = ["CONDITIONS", "Condition", "configure"]

_REQUEST_SECONDS = 20.0
SMALL_BYTES = 20_000


@dataclass(frozen=True)
class Condition:
    """What the topics out are set to."""

    kind: str
    predictions: Mapping[str, str]
    dead_letters: Mapping[str, str]
    ends_workers: tuple[str, ...] = ()
    """What the last sentence of a worker may be that ends because of it: patterns."""

    def topics(self, usecase: UseCase) -> dict[str, Mapping[str, str]]:
        """The settings by topic."""
        return {
            usecase.predictions_topic: self.predictions,
            usecase.dead_letters_topic: self.dead_letters,
        }


_SMALL = {"max.message.bytes": str(SMALL_BYTES)}

_ALL = (
    Condition("small-predictions", _SMALL, {}),
    Condition("small-dead-letters", {}, _SMALL),
    Condition("small-topics-out", _SMALL, _SMALL),
    Condition("compacted-predictions", {"cleanup.policy": "compact,delete"}, {}),
)

#: Every condition by its kind.
CONDITIONS: dict[str, Condition] = {condition.kind: condition for condition in _ALL}


def configure(bootstrap: str, topics: Mapping[str, Mapping[str, str]]) -> None:
    """Set settings of topics."""
    admin = AdminClient({"bootstrap.servers": bootstrap, "log_level": 0})
    wanted = [
        ConfigResource(
            ResourceType.TOPIC,
            topic,
            incremental_configs=[
                ConfigEntry(name, value, incremental_operation=AlterConfigOpType.SET)
                for name, value in settings.items()
            ],
        )
        for topic, settings in topics.items()
        if settings
    ]
    if wanted:
        asked = admin.incremental_alter_configs(wanted, request_timeout=_REQUEST_SECONDS)
        for future in asked.values():
            future.result(_REQUEST_SECONDS)
