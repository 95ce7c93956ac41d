"""What is told of services that are away."""

import logging
from threading import Event, Thread

import pytest

from stream_app.observer.events import OutageBegan, OutageEnded, WaitingBegan, WaitingEnded
from stream_app.observer.observer import Observer, on
from stream_app.waiting.outages import Outages


@pytest.fixture
def changes() -> list[tuple[str, bool, str]]:
    """What health and metrics are told."""
    return []


@pytest.fixture
def outages(changes: list[tuple[str, bool, str]]) -> Outages:
    """One whose clock stands."""
    observer = Observer(
        [
            on(OutageBegan, lambda it: changes.append((it.service, True, it.why))),
            on(OutageEnded, lambda it: changes.append((it.service, False, ""))),
        ]
    )
    return Outages(observer, clock=lambda: 0.0)


def in_a_thread(outages: Outages, service: str) -> None:
    """Tell it from another thread, which ends."""
    thread = Thread(target=outages.began, args=(WaitingBegan(service, "elsewhere"),))
    thread.start()
    thread.join()


def test_a_wait_is_told_when_it_begins_and_when_it_is_over(
    outages: Outages, changes: list[tuple[str, bool, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """With the reason, a line each, however often it is said meanwhile."""
    with caplog.at_level(logging.INFO):
        for _ in range(5):
            outages.began(WaitingBegan("redis", "connection refused"))
        outages.ended(WaitingEnded("redis"))
    assert changes == [("redis", True, "connection refused"), ("redis", False, "")]
    assert [record.message for record in caplog.records] == [
        "waiting for redis: connection refused",
        "redis is back after 0.0 s",
    ]


def test_a_reason_that_changes_is_told_as_well(
    outages: Outages, changes: list[tuple[str, bool, str]], caplog: pytest.LogCaptureFixture
) -> None:
    """A connection breaks before the next one is refused; in the log, reasons are no flood."""
    for why in ("closed", "no password", "closed", "no password", "three", "four", "five"):
        outages.began(WaitingBegan("redis", why))
    assert [record.message for record in caplog.records] == [
        "waiting for redis: closed",
        "redis is still away: no password",
        "redis is still away: three",
    ]
    assert changes[-1] == ("redis", True, "five")


def test_it_is_over_when_nobody_waits(
    outages: Outages, changes: list[tuple[str, bool, str]]
) -> None:
    """One thread that got what it wanted says nothing of the others."""
    got_it = Event()

    def other() -> None:
        outages.began(WaitingBegan("redis", ""))
        got_it.wait()
        outages.ended(WaitingEnded("redis"))

    outages.began(WaitingBegan("redis", ""))
    thread = Thread(target=other)
    thread.start()
    outages.ended(WaitingEnded("redis"))
    outages.forget_the_dead()
    assert changes == [("redis", True, "")]
    got_it.set()
    thread.join()
    assert changes == [("redis", True, ""), ("redis", False, "")]


def test_a_thread_that_died_waits_for_nothing(
    outages: Outages, changes: list[tuple[str, bool, str]]
) -> None:
    """However it ended: a probe must not be told of its wait for ever."""
    in_a_thread(outages, "redis")
    outages.began(WaitingBegan("kafka", ""))
    outages.forget_the_dead()
    assert changes == [("redis", True, "elsewhere"), ("kafka", True, ""), ("redis", False, "")]


def test_services_are_told_apart(outages: Outages, changes: list[tuple[str, bool, str]]) -> None:
    """And the end of a wait that never began is no news."""
    outages.ended(WaitingEnded("kafka"))
    outages.began(WaitingBegan("redis", ""))
    outages.began(WaitingBegan("kafka", ""))
    outages.ended(WaitingEnded("redis"))
    assert [change[:2] for change in changes] == [
        ("redis", True),
        ("kafka", True),
        ("redis", False),
    ]
