"""The thread of end offsets: nothing ends it unseen."""

import threading
from collections.abc import Sequence
from types import SimpleNamespace
from typing import Any

import pytest

from stream_app.errors import FatalError, RefusedError
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.end_offsets import EndOffsets
from stream_app.kafka.offset_tracker import OffsetTracker
from stream_app.observer.observer import Observer
from stream_app.records.partition import Partition
from stream_app.waiting.retry import Retry


class Topics:
    """What the brokers say of the topics: an exception."""

    def __init__(self, error: Exception) -> None:
        self._error = error

    def check(self, partitions: Sequence[Partition]) -> None:
        """As `Sources.check`."""
        raise self._error


def ended_by(error: Exception, **settings: Any) -> BaseException:
    """What the thread tells when the brokers' answer is this exception."""
    told: list[BaseException] = []
    crashed = threading.Event()

    def on_crash(error: BaseException) -> None:
        told.append(error)
        crashed.set()

    retry = Retry(initial_seconds=0.001, max_seconds=0.01, observer=Observer(), **settings)
    ends = EndOffsets(
        Brokers(SimpleNamespace(poll=lambda _: None)),  # type: ignore[arg-type]
        Topics(error),  # type: ignore[arg-type]
        OffsetTracker(),
        list,
        retry,
        when_idle=lambda: None,
        on_crash=on_crash,
        interval_seconds=0.001,
    )
    ends.start()
    assert crashed.wait(10)
    return told[0]


@pytest.mark.parametrize("error", [FatalError("another topic"), TypeError("a bug")])
def test_what_ends_the_thread_is_told(error: Exception) -> None:
    """Lag and identity are not left unwatched behind anybody's back."""
    assert ended_by(error) is error


def test_a_topic_that_stays_unknown_ends_the_worker() -> None:
    """Said for `refusal_seconds`, it is believed."""
    told = ended_by(RefusedError("kafka", "unknown topic"), refusal_seconds=0.01)
    assert isinstance(told, FatalError)
    assert "unknown topic" in str(told)
