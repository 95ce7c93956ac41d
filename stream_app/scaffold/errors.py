"""What can be wrong with what a new project is asked for."""

from __future__ import annotations

from stream_app.errors import ConfigurationError

__all__ = ["ScaffoldError"]


class ScaffoldError(ConfigurationError):
    """No project can be written as asked; the text says what to change."""
