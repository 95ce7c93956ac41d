"""A real schema registry as a child process: Apicurio Registry, by its API that is Confluent's."""

import hashlib
import json
import os
import tarfile
import tempfile
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from stream_app.local.cache import cache_directory
from stream_app.local.java import java_binary
from stream_app.local.ports import HOST
from stream_app.local.process import SupervisedProcess
from stream_app.local.service import LocalService

__all__ = ["LocalRegistry"]

_VERSION = "3.3.3"
_SHA256 = "8bc6751c76d963734224b01d5e7f84ccb3cb61c87d3bd77c36c35f10a5cbed63"
"""Of the archive, 151 MiB."""


def _archive() -> Path:
    """The server's archive, downloaded once and checked at every call."""
    directory = cache_directory() / "registry"
    archive = directory / f"apicurio-registry-app-{_VERSION}-all.tar.gz"
    directory.mkdir(parents=True, exist_ok=True)
    if not archive.exists():
        _download(archive)
    with archive.open("rb") as file:
        found = hashlib.file_digest(file, "sha256").hexdigest()
    assert found == _SHA256, f"{archive} has another hash: delete it to download it again"
    return archive


def _download(archive: Path) -> None:
    from jgo.maven import MavenContext

    with tempfile.TemporaryDirectory(prefix="download-", dir=archive.parent) as scratch:
        component = MavenContext(repo_cache=Path(scratch), timeout=60).project(
            "io.apicurio", "apicurio-registry-app"
        )
        artifact = component.at_version(_VERSION).artifact(classifier="all", packaging="tar.gz")
        # In one step: another process sees the whole file or none.
        Path(artifact.resolve()).replace(archive)


class LocalRegistry(LocalService):
    """Keeps schemas in memory: they are gone when it was killed, and not when it was frozen."""

    name = "registry"

    @property
    def url(self) -> str:
        """What clients of a schema registry are configured with."""
        return f"http://{self.address}/apis/ccompat/v7"

    def _prepare(self, process: SupervisedProcess) -> None:
        with tarfile.open(_archive()) as archive:
            archive.extractall(process.directory, filter="data")

    def _command(self, directory: Path) -> Sequence[str]:
        return [
            os.fspath(java_binary()),
            "-Xmx512m",
            f"-Dquarkus.http.host={HOST}",
            f"-Dquarkus.http.port={self.port}",
            "-jar",
            str(directory / "quarkus-run.jar"),
        ]

    def _answers(self) -> bool:
        try:
            with urllib.request.urlopen(f"{self.url}/subjects", timeout=2) as page:
                return isinstance(json.load(page), list)
        except (OSError, ValueError):
            return False
