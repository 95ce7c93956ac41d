"""A process whose clock is off takes it for right, and waits no longer than it was told."""

import shutil
import subprocess
import sys
import time

import pytest

from tests.chaos import clock

_SCRIPT = (
    "import datetime, threading, time; begun = time.monotonic(); "
    "threading.Event().wait(0.2); print(time.time(), datetime.datetime.now().timestamp(), "
    "time.monotonic() - begun)"
)


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler (cc)")
@pytest.mark.parametrize("seconds", [-172_800, 7_200, 0])
def test_the_clock_is_off_by_as_much(seconds: int) -> None:
    """For whoever asks in whatever way; the time that passes is right."""
    asked = subprocess.run(
        [sys.executable, "-c", _SCRIPT], env=clock.shifted(seconds), capture_output=True, check=True
    )
    now, too, passed = map(float, asked.stdout.split())
    assert now == pytest.approx(time.time() + seconds, abs=60)
    assert too == pytest.approx(now, abs=60)
    assert 0.2 <= passed < 60


_CLIENT = (
    "import time; from confluent_kafka.admin import AdminClient; begun = time.monotonic()\n"
    "try: AdminClient({'bootstrap.servers': '127.0.0.1:1', 'log_level': 0}).list_topics(timeout=1)\n"
    "except Exception: print(time.monotonic() - begun)"
)


@pytest.mark.skipif(not shutil.which("cc"), reason="no C compiler (cc)")
@pytest.mark.parametrize("seconds", [-172_800, 7_200])
def test_a_client_of_librdkafka_waits_as_long_as_it_was_told(seconds: int) -> None:
    """Its deadlines are made of the time of day: neither over at once nor hours away."""
    asked = subprocess.run(
        [sys.executable, "-c", _CLIENT], env=clock.shifted(seconds), capture_output=True, check=True,
        timeout=60,
    )  # fmt: skip
    assert 0.9 <= float(asked.stdout) < 30
