"""What can go wrong with a model version, before serving and in it."""

from __future__ import annotations

from stream_app.errors import ConfigurationError, StreamAppError

__all__ = ["ModelRefusedError", "ScoringError"]


class ModelRefusedError(ConfigurationError):
    """A model version is not served: one sentence that says what is wrong and what to do."""


class ScoringError(StreamAppError):
    """The model could not score a batch: a row it cannot take, or the graph failed on it.

    It concerns the whole batch; scored row by row, the good rows go through.
    """

    def __init__(self, message: str, why: str = "", column: str = "") -> None:
        """`why`: what is wrong with the only row, if that is known; it quotes nothing of it.

        `column`: the one that holds what its input does not take, if there is one.
        """
        super().__init__(message)
        self.why = why
        self.column = column
