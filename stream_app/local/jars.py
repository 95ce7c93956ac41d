"""Kafka's jars: named and hashed by a lock file, downloaded once, checked at every start."""

import hashlib
import json
import logging
import os
import tempfile
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from .cache import cache_directory
from .errors import LocalServiceError

_log = logging.getLogger(__name__)

LOCK_FILE = Path(__file__).with_name("kafka.lock.json")

_DOWNLOADS_AT_ONCE = 8
_RESPONSE_SECONDS = 30
_ATTEMPTS = 3


@dataclass(frozen=True, slots=True)
class Jar:
    """One file of a Maven repository; `coordinate` is group:artifact:version."""

    coordinate: str
    sha256: str

    @property
    def file_name(self) -> str:
        """Its name in the cache: unique, as the coordinate is."""
        return self.coordinate.replace(":", "_") + ".jar"


Fetch = Callable[[Jar, Path], Path]


def locked_jars(lock_file: Path = LOCK_FILE) -> tuple[Jar, ...]:
    """Return what the lock file names."""
    content = json.loads(lock_file.read_text())
    return tuple(Jar(one["coordinate"], one["sha256"]) for one in content["jars"])


def class_path(
    jars: Sequence[Jar] | None = None,
    directory: Path | None = None,
    fetch: Fetch | None = None,
) -> str:
    """Return Java's class path of `jars` in `directory`, after downloading what is missing.

    Every file is hashed at every call (about 0.1 s in all), and one whose hash is not the lock's is
    refused: it is never handed to Java. With all files there, no network is used.
    """
    jars = locked_jars() if jars is None else jars
    directory = cache_directory() / "kafka" if directory is None else directory
    fetch = download if fetch is None else fetch
    try:
        directory.mkdir(parents=True, exist_ok=True)
        missing = [jar for jar in jars if not (directory / jar.file_name).exists()]
        if missing:
            _log.info("Downloading %d of %d jars of the local Kafka, once", len(missing), len(jars))
            _download_all(missing, directory, fetch)
        for jar in jars:
            _check(jar, directory / jar.file_name)
    except OSError as error:
        raise LocalServiceError(
            f"Cannot keep Kafka's jars in {directory}: {error.strerror}. Set STREAM_APP_CACHE to a "
            "folder that can be written to; downloads are kept there."
        ) from error
    return os.pathsep.join(str(directory / jar.file_name) for jar in jars)


def download(jar: Jar, directory: Path) -> Path:
    """Download one jar into `directory` by jgo, whose configuration names the repository."""
    try:
        from jgo.maven import MavenContext
    except ImportError as error:
        raise LocalServiceError.missing_package("jgo") from error
    group, artifact, version = jar.coordinate.split(":")
    for attempt in range(1, _ATTEMPTS + 1):
        # A folder of its own for each attempt: jgo takes what an interrupted one left for whole.
        context = MavenContext(
            repo_cache=directory / f"attempt-{attempt}", timeout=_RESPONSE_SECONDS
        )
        try:
            found = context.project(group, artifact).at_version(version).artifact().resolve()
        except (OSError, RuntimeError) as error:  # requests' errors are OSErrors
            reason: Exception = error
        else:
            return Path(found)
    raise LocalServiceError(
        f"Cannot download {jar.coordinate}: {reason}. The first start of the local Kafka needs "
        "Maven Central, later ones do not."
    )


def _download_all(jars: Sequence[Jar], directory: Path, fetch: Fetch) -> None:
    def download_one(jar: Jar) -> None:
        with tempfile.TemporaryDirectory(prefix="download-", dir=directory) as scratch:
            found = fetch(jar, Path(scratch))
            _check(jar, found)
            # In one step: another process that starts Kafka sees the whole file or none.
            found.replace(directory / jar.file_name)

    with ThreadPoolExecutor(_DOWNLOADS_AT_ONCE) as pool:
        for done in [pool.submit(download_one, jar) for jar in jars]:
            done.result()


def _check(jar: Jar, path: Path) -> None:
    with path.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    if found != jar.sha256:
        raise LocalServiceError(
            f"{path} is refused: its sha256 is {found}, but the lock file names {jar.sha256} for "
            f"{jar.coordinate}. Delete the file to download it again."
        )
