"""The process around a worker."""

import subprocess
import sys

HANGING = """
import asyncio, signal, types
from stream_app.worker import process

process._BEYOND_DRAIN_SECONDS = 0.1


async def hang(*_):
    await asyncio.Event().wait()


loop = asyncio.new_event_loop()
hanging = process.Process.__new__(process.Process)
settings = types.SimpleNamespace(drain_seconds=0.1)
hanging.app = types.SimpleNamespace(worker=types.SimpleNamespace(settings=settings), error=None)
hanging.loop, hanging._signal_stop_time, hanging._signal_stop_future = loop, None, None
hanging._stop_on_signal = hang
hanging._schedule_shutdown(signal.SIGTERM)
loop.run_forever()
"""


def test_a_stop_that_hangs_is_bounded_and_says_where() -> None:
    """A supervisor need not kill a worker; its log has a traceback of every thread."""
    ended = subprocess.run(
        [sys.executable, "-c", HANGING], capture_output=True, text=True, timeout=60, check=False
    )
    assert ended.returncode == 1
    assert "has not stopped within 0.2 s" in ended.stderr
    assert "run_forever" in ended.stderr
