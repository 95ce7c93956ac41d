"""A process whose clock is off: a few lines of C before the C library, as libfaketime does it.

Shifted are `clock_gettime(CLOCK_REALTIME)`, `gettimeofday` and `time`: Python, librdkafka and TLS
ask those. Deadlines of waits are made by `timespec_get` and the monotonic clock, and stay right.
"""

import atexit
import os
import shutil
import subprocess
import sys
import tempfile
from functools import cache
from pathlib import Path

__all__ = ["RIGHT", "lacks", "shifted"]

_MAKE_A_CLIENT = "from confluent_kafka.admin import AdminClient; AdminClient({})"
_START_SECONDS = 10.0
_SHIFT = "CHAOS_CLOCK_SHIFT_SECONDS"

#: Environment variables of a process whose clock is right again.
RIGHT = {_SHIFT: "0"}

_SOURCE = """
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <sys/time.h>
#include <time.h>

static time_t shift(void) {
    const char *text = getenv("CHAOS_CLOCK_SHIFT_SECONDS");
    return text ? atol(text) : 0;
}

int clock_gettime(clockid_t clock, struct timespec *now) {
    static int (*next)(clockid_t, struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "clock_gettime");
    int status = next(clock, now);
    if (!status && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
        now->tv_sec += shift();
    return status;
}

int gettimeofday(struct timeval *restrict now, void *restrict zone) {
    static int (*next)(struct timeval *, void *);
    if (!next) next = dlsym(RTLD_NEXT, "gettimeofday");
    int status = next(now, zone);
    if (!status) now->tv_sec += shift();
    return status;
}

time_t time(time_t *at) {
    static time_t (*next)(time_t *);
    if (!next) next = dlsym(RTLD_NEXT, "time");
    time_t now = next(NULL) + shift();
    if (at) *at = now;
    return now;
}
"""


@cache
def lacks() -> str:
    """What this machine lacks for it; empty: nothing."""
    if not shutil.which("cc"):
        return "no C compiler (cc) to shift a worker's clock with"
    try:
        subprocess.run(
            [sys.executable, "-c", _MAKE_A_CLIENT], env={**os.environ, **shifted(-2 * 86_400)},
            timeout=_START_SECONDS, check=True, capture_output=True,
        )  # fmt: skip
    except subprocess.TimeoutExpired:
        # Seen with librdkafka 2.16: it waits by a clock that is not shifted, and never ends.
        return "a client of librdkafka does not start beside a shifted clock"
    return ""


def shifted(seconds: int) -> dict[str, str]:
    """Environment variables of a process whose clock is `seconds` ahead."""
    return {"LD_PRELOAD": str(_library()), _SHIFT: str(seconds)}


@cache
def _library() -> Path:
    folder = Path(tempfile.mkdtemp(prefix="chaos-clock-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    source, library = folder / "clock.c", folder / "clock.so"
    source.write_text(_SOURCE)
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-o", str(library), str(source), "-ldl"],
        check=True, capture_output=True,
    )  # fmt: skip
    return library
