"""What is told of services that are away."""

import logging
from threading import Thread

import pytest

from stream_app.absences import Absences


@pytest.fixture
def changes() -> list[tuple[str, bool]]:
    """What health and metrics are told."""
    return []


@pytest.fixture
def absences(changes: list[tuple[str, bool]]) -> Absences:
    """One whose clock stands."""
    return Absences(on_change=lambda *change: changes.append(change), clock=lambda: 0.0)


def in_a_thread(absences: Absences, service: str, waiting: bool) -> Thread:
    """Tell it from another thread, which lives on."""
    thread = Thread(target=absences, args=(service, waiting, "elsewhere"))
    thread.start()
    thread.join()
    return thread


def test_a_wait_is_told_when_it_begins_and_when_it_is_over(
    absences: Absences, changes: list[tuple[str, bool]], caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason, a line each, however often it is said meanwhile."""
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            absences("redis", True, "connection refused")
        absences("redis", False)
    assert changes == [("redis", True), ("redis", False)]
    assert [record.message for record in caplog.records] == [
        "waiting for redis: connection refused",
        "redis is back after 0.0 s",
    ]


def test_a_reason_that_changes_is_told_as_well(
    absences: Absences, caplog: pytest.LogCaptureFixture
) -> None:
    """A connection breaks before the next one is refused; but reasons are no flood."""
    for why in ("closed", "no password", "closed", "no password", "three", "four", "five"):
        absences("redis", True, why)
    assert [record.message for record in caplog.records] == [
        "waiting for redis: closed",
        "redis is still away: no password",
        "redis is still away: three",
    ]


def test_it_is_over_when_nobody_waits(absences: Absences, changes: list[tuple[str, bool]]) -> None:
    """One thread that got what it wanted says nothing of the others."""
    absences("redis", True)
    in_a_thread(absences, "redis", True)
    absences("redis", False)
    assert changes == [("redis", True)]
    # Threads may follow one another under one identity, so this one ends the other's wait.
    in_a_thread(absences, "redis", False)
    absences("redis", False)


def test_services_are_told_apart(absences: Absences, changes: list[tuple[str, bool]]) -> None:
    """And the end of a wait that never began is no news."""
    absences("kafka", False)
    absences("redis", True)
    absences("kafka", True)
    absences("redis", False)
    assert changes == [("redis", True), ("kafka", True), ("redis", False)]
