"""What can be wrong with what training is given."""

from __future__ import annotations

from stream_app.errors import ConfigurationError

__all__ = ["LogError", "MatrixError", "PackageError"]


class LogError(ConfigurationError):
    """A log cannot be read; the text names the place in it."""


class MatrixError(ConfigurationError):
    """No matrix can be made of a log, or not one that a model may be fitted on."""


class PackageError(ConfigurationError):
    """A model cannot become a version of the use case."""
