"""Why a record is no event of its contract."""

from __future__ import annotations

from typing import Final

from stream_app.text.foreign import bounded

__all__ = ["InvalidEventError"]

_MESSAGE_CHARACTERS: Final = 500


class InvalidEventError(Exception):
    """The record is not an event of the contract.

    `reason` is a code of `docs/reasons.md`, or one that a decoder of the use case's own makes up; `field`
    is a dotted path or None, `str(error)` a sentence, which goes into the dead letter and the log: it says
    what was expected, and never quotes the value. A text that may quote it is `quoting`, told only with the
    setting `exception_texts`. Names of fields may be the producer's, so all are bounded here, where they are
    made.
    """

    def __init__(
        self, reason: str, message: str, field: str | None = None, *, quoting: str = ""
    ) -> None:
        super().__init__(bounded(message, _MESSAGE_CHARACTERS))
        self.quoting = bounded(quoting)
        self.reason = bounded(reason)
        self.field = None if field is None else bounded(field)
