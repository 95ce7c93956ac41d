"""The profile, the parts that need no worker: what a stack is of, and what the table adds up to."""

import os
import threading
import time

import pytest

from benchmarks.profile.stages import stacks
from benchmarks.profile.table import by_stage, table, waits
from benchmarks.profile.threads import ThreadTime, cpu_of_threads, spent

_COMPUTE = "thread (7): compute_0;_worker (concurrent/futures/thread.py:83);"

RECORDED = [
    _COMPUTE + "Predictor.decode (stream_app/predictor/predictor.py:66);x (msgspec/_core.so) 30",
    _COMPUTE + "EnrichStage.__call__ (stream_app/predictor/enrich.py:77);StateStage.read (stream_app/state/stage.py:132);recv (libc.so.6) 20",
    _COMPUTE + "EnrichStage.__call__ (stream_app/predictor/enrich.py:85);FeatureEngine.advance (stream_app/features/engine/engine.py:180);update (states.c:1);gc_collect_main (libpython3.11.so.1.0) 10",
    _COMPUTE + "Model.score (stream_app/models/model.py:82);run (onnxruntime/capi/a.py:1);0x7f (onnxruntime/capi/a.so) 30",
    _COMPUTE + "OutgoingRecords.__call__ (stream_app/wire/outgoing.py:1);take_gil (libpython3.11.so.1.0);pthread_cond_timedwait (libc.so.6) 10",
    "thread (8): deliver_0;produce (stream_app/kafka/producers.py:1) 40",
    "not a stack",
]  # fmt: skip


def test_a_stack_belongs_to_the_innermost_stage_on_it_and_the_collector_to_none() -> None:
    """It runs in the middle of anything."""
    found = [each.stage for each in stacks("\n".join(RECORDED))]
    assert found == ["between the stages", "state: read", "garbage collection", "ONNX", "outgoing", "produce"]  # fmt: skip


def test_waiting_for_the_gil_for_a_socket_and_running_are_told_apart() -> None:
    """By the native frames."""
    assert [each.does for each in stacks("\n".join(RECORDED))] == [
        "running", "waiting", "running", "running", "waiting for the GIL", "running",
    ]  # fmt: skip


def test_the_cpu_of_a_thread_is_divided_as_its_running_samples_are() -> None:
    """What waits costs nothing; a thread that Python does not know is one line."""
    times = {
        7: ThreadTime("python", 0.7),
        8: ThreadTime("python", 0.2),
        9: ThreadTime("rdk:broker1", 0.1),
    }
    shares = by_stage(stacks("\n".join(RECORDED)), times, 10_000)
    assert sum(each.microseconds for each in shares) == pytest.approx(100.0, abs=0.1)
    assert {(each.thread, each.stage): each.microseconds for each in shares} == {
        ("compute", "between the stages"): 30.0, ("compute", "ONNX"): 30.0,
        ("compute", "garbage collection"): 10.0, ("deliver", "produce"): 20.0, ("rdk:broker", ""): 10.0,
    }  # fmt: skip


def test_a_threads_time_is_told_whole() -> None:
    """Running, waiting for the GIL, and waiting in a stage."""
    found = waits(stacks("\n".join(RECORDED)), "compute")
    assert found == {"running": 0.7, "waiting: state: read": 0.2, "waiting for the GIL": 0.1}
    assert "| compute | waiting for the GIL | 0.10 |" in table([], {"compute": found})


@pytest.mark.skipif(not os.path.exists("/proc/self/task"), reason="Linux counts it in /proc")  # noqa: PTH110
def test_the_kernel_says_what_a_thread_took() -> None:
    """Of this process: the thread that worked, and not the one that waited."""
    before = cpu_of_threads(os.getpid())
    end = time.thread_time() + 0.2
    while time.thread_time() < end:
        pass
    took = spent(before, cpu_of_threads(os.getpid()))
    assert took[threading.get_native_id()].seconds >= 0.1
