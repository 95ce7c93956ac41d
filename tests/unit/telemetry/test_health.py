"""Health: alive, ready, and why not."""

from stream_app.telemetry.health import Health


class Clock:
    """A clock that a test moves; seconds."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        """What it shows."""
        return self.now


def test_a_worker_is_alive_from_its_start_but_not_ready() -> None:
    """Loading a model takes a while: that is no reason to restart."""
    health = Health(deadline_seconds=10.0, clock=Clock())
    assert health.liveness().ok
    assert not health.readiness().ok
    assert "starting" in health.readiness().why


def test_a_work_loop_without_a_sign_is_not_alive() -> None:
    """Past the deadline a restart is what helps; a beat before it is a new lease."""
    clock = Clock()
    health = Health(deadline_seconds=10.0, clock=clock)
    clock.now += 9.0
    health.beat()
    clock.now += 9.0
    assert health.liveness().ok
    clock.now += 2.0
    answer = health.liveness()
    assert not answer.ok
    assert "11.0 s" in answer.why


def test_a_worker_that_waits_for_a_service_is_alive_and_not_ready() -> None:
    """A restart would not bring Redis back; a rollout should wait."""
    clock = Clock()
    health = Health(deadline_seconds=10.0, clock=clock)
    health.ready(True)
    health.waiting_for("redis")
    clock.now += 500.0
    assert health.liveness().ok
    assert not health.readiness().ok
    assert "redis (500.0 s)" in health.readiness().why
    health.waiting_for(None)
    assert health.liveness().ok
    assert health.readiness().ok


def test_one_service_that_is_back_does_not_hide_another_that_is_not() -> None:
    """Waits on two threads are told apart."""
    health = Health(clock=Clock())
    health.ready(True)
    health.waiting_for("redis")
    health.waiting_for("kafka")
    health.arrived("redis")
    assert health.readiness().details["waiting_for"] == ["kafka"]
    health.arrived("kafka")
    assert health.readiness().ok


def test_readiness_says_why_not() -> None:
    """The reason is the worker's own sentence."""
    health = Health()
    health.ready(True)
    assert health.readiness().ok
    health.ready(False, "No partition is assigned.")
    details = {"waiting_for": [], "stopped_partitions": []}
    assert health.readiness() == (False, "No partition is assigned.", details)


def test_a_worker_with_stopped_partitions_is_ready_for_the_others() -> None:
    """It names them; where all that it holds are stopped, it takes nothing and is not ready."""
    health = Health()
    health.ready(True)
    health.stopped(["t[1] at 7"], takes_nothing=False)
    ok, why, details = health.readiness()
    assert ok
    assert "takes the records of its other partitions" in why
    assert "t[1] at 7" in why
    assert details["stopped_partitions"] == ["t[1] at 7"]
    health.stopped([f"t[{n}] at 7" for n in range(9)], takes_nothing=True)
    ok, why, details = health.readiness()
    assert not ok
    assert "takes no records" in why
    assert "t[4] at 7, ..." in why
    assert len(details["stopped_partitions"]) == 9
    health.stopped([], takes_nothing=False)
    assert health.readiness().why == "The worker takes records."


def test_a_probe_is_told_the_latest_reason_of_a_wait() -> None:
    """And since when it waits, whatever the reason was before."""
    now = [0.0]
    health = Health(clock=lambda: now[0])
    health.ready(True)
    health.waiting_for("kafka", "connection broken")
    now[0] = 2.0
    health.waiting_for("kafka", "b:9092: connection refused")
    answer = health.readiness()
    assert not answer.ok
    assert answer.why == "The worker waits for kafka (2.0 s): b:9092: connection refused."
    assert health.liveness().ok


def test_what_is_known_may_be_corrected_before_a_probe_is_answered() -> None:
    """A thread that died while it waited must not fail the probe for ever."""
    health = Health(before_answering=lambda: health.arrived("redis"))
    health.ready(True)
    health.waiting_for("redis", "gone")
    assert health.readiness().ok
