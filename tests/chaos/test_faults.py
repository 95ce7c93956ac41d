"""A fault begins and is healed within a bound, and where it is not, it is named."""

import threading
from types import SimpleNamespace
from typing import Any, cast

import pytest

from tests.chaos.faults import base
from tests.chaos.faults.base import Context, Fault
from tests.chaos.run import StuckError, UnplayedError, strike_all
from tests.chaos.workers import Workers


class _Slow(Fault):
    """Takes until it is let go, at one of its steps."""

    kind, target = "slow", "nothing"
    let_go: threading.Event
    slow_at = "begin"

    def begin(self, context: Context) -> None:
        self._take("begin")

    def heal(self, context: Context) -> None:
        self._take("heal")

    def _take(self, step: str) -> None:
        if step == self.slow_at:
            self.let_go.wait(30.0)


class _Broken(Fault):
    kind, target = "broken", "nothing"

    def begin(self, context: Context) -> None:
        raise RuntimeError("the disk is full")


def _scene() -> Context:
    workers = cast("Workers", SimpleNamespace(members=[], look_after=lambda: None))
    nothing: Any = None
    return Context(nothing, workers, nothing, nothing, nothing)


@pytest.mark.parametrize("step", ["begin", "heal"])
def test_a_fault_that_never_returns_is_named(monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    """With what it did not come to the end of, instead of a round that never ends."""
    monkeypatch.setattr(base, "STEP_SECONDS", 0.05)
    fault = _Slow(0.0, 0.0, 0)
    fault.let_go, fault.slow_at = threading.Event(), step
    try:
        with pytest.raises(StuckError, match=f"the fault slow did not {step} within 0.05 s"):
            strike_all([fault], _scene())
    finally:
        fault.let_go.set()


def test_a_fault_that_lasts_is_not_stuck(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is bounded is its beginning and its healing."""
    monkeypatch.setattr(base, "STEP_SECONDS", 0.05)
    fault = _Slow(0.0, 0.5, 0)
    fault.slow_at = "never"
    assert strike_all([fault], _scene()) == []


def test_a_fault_that_fails_is_a_problem_of_the_round() -> None:
    """And the round goes on."""
    assert strike_all([_Broken(0.0, 0.0, 0)], _scene()) == [
        "the fault broken itself failed: RuntimeError('the disk is full')"
    ]


def test_a_round_without_a_verdict_keeps_what_was_known() -> None:
    """Its problems, how workers ended, and what they wrote."""
    workers = cast("Workers", SimpleNamespace(exits=[]))
    logs = {"worker-0": "INFO it lives"}
    unplayed = UnplayedError(["not within 180 s: all is committed", "a timeout"], workers, logs)
    assert str(unplayed) == "not within 180 s: all is committed; a timeout"
    assert unplayed.logs == logs
