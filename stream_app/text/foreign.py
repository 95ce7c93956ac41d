"""Text of foreign origin, bounded where it enters.

What a producer wrote may go on into headers, ids, labels, messages and lines of the log. None of
these may grow with it, and none may be forged by it.
"""

from __future__ import annotations

from typing import Final

__all__ = ["MOST_CHARACTERS", "bounded"]

#: Most characters of a foreign text that is passed on: enough for any name a person chose.
MOST_CHARACTERS: Final = 200


def bounded(text: str | bytes, most: int = MOST_CHARACTERS) -> str:
    """The text on one line, without control characters or lone surrogates, not longer than `most`.

    Bytes that are not UTF-8 are shown as ``\\xNN``. What is cut off is told by its length.
    """
    # Cut first: nothing may be done to a megabyte of which 200 characters are kept.
    length = len(text)
    if length <= most and isinstance(text, str) and text.isprintable():
        return text  # nearly every one
    text = text[: most + 1]
    if isinstance(text, bytes):
        text = text.decode("utf-8", "backslashreplace")
    shown = "".join(each if each.isprintable() else _escaped(each) for each in text)
    if length <= most and len(shown) <= most:
        return shown
    tail = f"... ({length} in all)"
    return shown[: max(0, most - len(tail))] + tail


def _escaped(character: str) -> str:
    return character.encode("unicode_escape").decode("ascii")
