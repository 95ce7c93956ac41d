"""A process whose clock is off: a few lines of C before the C library, as libfaketime does it.

Shifted is whatever tells the time of day: `clock_gettime(CLOCK_REALTIME)`, `timespec_get`,
`gettimeofday` and `time`, which Python, librdkafka and TLS ask. Deadlines made of it are shifted
back where a process waits for them, because the kernel's own clock is right: librdkafka makes the
deadlines of its conditions from the time of day.
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
#include <pthread.h>
#include <stdlib.h>
#include <sys/time.h>
#include <threads.h>
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

int timespec_get(struct timespec *now, int base) {
    static int (*next)(struct timespec *, int);
    if (!next) next = dlsym(RTLD_NEXT, "timespec_get");
    int told = next(now, base);
    if (told == TIME_UTC) now->tv_sec += shift();
    return told;
}

/* A deadline by the monotonic clock counts from the machine's start, and is left as it is. */
static struct timespec unshifted(const struct timespec *deadline) {
    struct timespec right = *deadline;
    if (right.tv_sec > 1000000000) right.tv_sec -= shift();
    return right;
}

int pthread_cond_timedwait(pthread_cond_t *restrict condition, pthread_mutex_t *restrict mutex,
                           const struct timespec *restrict deadline) {
    static int (*next)(pthread_cond_t *, pthread_mutex_t *, const struct timespec *);
    if (!next) next = dlvsym(RTLD_NEXT, "pthread_cond_timedwait", "GLIBC_2.3.2");
    if (!next) next = dlsym(RTLD_NEXT, "pthread_cond_timedwait");
    struct timespec right = unshifted(deadline);
    return next(condition, mutex, &right);
}

int cnd_timedwait(cnd_t *restrict condition, mtx_t *restrict mutex,
                  const struct timespec *restrict deadline) {
    static int (*next)(cnd_t *, mtx_t *, const struct timespec *);
    if (!next) next = dlsym(RTLD_NEXT, "cnd_timedwait");
    struct timespec right = unshifted(deadline);
    return next(condition, mutex, &right);
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
        # Seen while deadlines were not shifted back: each of them was over before it began.
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
