"""Why nothing is acknowledged, as far as the brokers tell."""

from collections.abc import Iterable
from types import SimpleNamespace
from typing import Any, Self

import pytest

from stream_app.errors import RefusedError, ServiceAwayError
from stream_app.kafka.output_topics import OutputTopics


class Brokers:
    """Three brokers of which some are away."""

    def __init__(self, in_sync: int, settings: dict[str, str] | Exception | None) -> None:
        self._in_sync = in_sync
        self._settings = settings

    def within(self, _seconds: float) -> Self:
        """However long it takes."""
        return self

    def settings(self, topics: Iterable[str]) -> dict[str, dict[str, str] | None]:
        """The same of every topic."""
        if isinstance(self._settings, Exception):
            raise self._settings
        return dict.fromkeys(topics, self._settings)

    def in_sync(self, _topic: str) -> dict[int, tuple[int, int]]:
        """One partition."""
        return {0: (self._in_sync, 3)}


def why(in_sync: int, settings: dict[str, str] | Exception | None) -> str | None:
    """Why nothing is acknowledged."""
    brokers: Any = Brokers(in_sync, settings)
    emitters: list[Any] = [
        SimpleNamespace(topic="out", kind="prediction"),
        SimpleNamespace(topic="dead", kind="dead letter"),
    ]
    topics = OutputTopics(brokers, emitters, max_value_bytes=1)
    return topics.why_unacknowledged()


def test_too_few_replicas_are_named_with_the_setting() -> None:
    """And as many as are needed are no reason."""
    told = why(1, {"min.insync.replicas": "2"})
    assert told == "of 3 replicas of out[0] 1 are in sync, and min.insync.replicas is 2"
    assert why(2, {"min.insync.replicas": "2"}) is None
    assert why(2, {}) is None


@pytest.mark.parametrize("settings", [None, RefusedError("kafka", "no")], ids=["topic", "request"])
def test_where_brokers_tell_no_settings_replicas_that_are_away_are_named(
    settings: Exception | None,
) -> None:
    """That they are too few is likely then, and not known."""
    told = why(1, settings)
    assert told is not None
    assert "of 3 replicas of out[0] 1 are in sync, which may be fewer than min.insync" in told
    assert "DescribeConfigs" in told
    assert why(3, settings) is None


def test_brokers_that_do_not_answer_tell_nothing() -> None:
    """What is waited for is told already."""
    assert why(1, ServiceAwayError("kafka", "away")) is None
