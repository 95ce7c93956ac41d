"""Topics of events with different numbers of partitions."""

import logging

import pytest

from stream_app.kafka.co_partitioning import tell_whether_co_partitioned


def test_different_numbers_of_partitions_are_told(caplog: pytest.LogCaptureFixture) -> None:
    """Each topic with its number, in one line."""
    tell_whether_co_partitioned({"flights": 8, "weather": 3, "delays": 8})
    (line,) = caplog.messages
    assert "(delays: 8, flights: 8, weather: 3)" in line


def test_as_many_partitions_are_not_told(caplog: pytest.LogCaptureFixture) -> None:
    """Nor is a single topic."""
    caplog.set_level(logging.DEBUG)
    tell_whether_co_partitioned({"flights": 8, "weather": 8})
    tell_whether_co_partitioned({"flights": 8})
    assert not caplog.messages
