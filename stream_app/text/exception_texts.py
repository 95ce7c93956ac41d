"""Whether the texts of exceptions are told: they may quote a record (the setting `exception_texts`).

Every stage that tells of an exception asks here, so that none tells what the others withhold.
"""

from __future__ import annotations

from typing import Final

from stream_app.text.causes import with_text
from stream_app.text.foreign import bounded

__all__ = ["UNTOLD", "ExceptionTexts"]


class ExceptionTexts:
    """Adds texts to messages, or leaves them out."""

    def __init__(self, *, are_told: bool) -> None:
        self._are_told = are_told

    def after(self, message: str, error: BaseException | None) -> str:
        """A message, with the text of an exception behind it where texts are told."""
        return with_text(message, error) if self._are_told else message

    def quoting(self, message: str, text: str) -> str:
        """A message, with a text that may quote a record behind it where texts are told."""
        return f"{message}: {bounded(text)}" if text and self._are_told else message


UNTOLD: Final = ExceptionTexts(are_told=False)
"""Tells none: what holds by default."""
