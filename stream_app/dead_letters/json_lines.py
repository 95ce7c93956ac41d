"""Letters as JSON Lines, for mending by hand: what is written is read back to the very bytes."""

from __future__ import annotations

import json
from base64 import b64decode, b64encode
from collections.abc import Iterable
from typing import Any, NamedTuple

from stream_app.dead_letters.letter import Letter
from stream_app.errors import ConfigurationError
from stream_app.records.record_id import RecordId, record_id_of
from stream_app.text.redaction import Redaction, is_everything

__all__ = ["Mended", "as_line", "read_lines"]


class Mended(NamedTuple):
    """A payload that somebody mended."""

    value: bytes | None
    redacted: str = ""
    """The paths of what was replaced in it when it was exported."""

    def whole(self, original: bytes | None) -> bytes | None:
        """With what was replaced put back, from the value of the record; raises `ValueError`."""
        if not self.redacted:
            return self.value
        redaction = Redaction(self.redacted)
        if self.value is None:
            raise ValueError("its value was redacted whole, and nothing is written in its place")
        if not is_everything(self.redacted):
            return redaction.restored(self.value, original or b"")
        return self.value


def as_line(letter: Letter) -> str:
    """A letter as a line: text where the bytes are UTF-8, else base64 under NAME_base64."""
    said = letter.said
    return json.dumps(
        {
            "letter": str(letter.id),
            "topic": said.topic,
            "partition": said.partition,
            "offset": said.offset,
            "stage": said.stage,
            "reason": said.reason,
            "field": said.field,
            "message": said.message,
            "attempts": said.attempts,
            "cut": sorted(letter.cut),
            **({"redacted": said.redacted} if said.redacted else {}),
            **_content("key", letter.key),
            "headers": [{"name": n, **_content("value", _raw(v))} for n, v in letter.came_with],
            **_content("value", letter.value),
        },
        ensure_ascii=False,
    )


def read_lines(lines: Iterable[str | bytes]) -> dict[RecordId, Mended]:
    """The payloads of lines that `as_line` made and somebody mended, by the names of their letters.

    Besides the payload, what was redacted in it counts, and nothing else: whose record it is, its key and
    its headers are the letter's own.
    Raises `ConfigurationError` that names the line.
    """
    found: dict[RecordId, Mended] = {}
    for number, line in enumerate(lines, 1):
        if not line.strip():
            continue
        try:
            letter, mended = _read(line)
        except _LineError as error:
            raise ConfigurationError(f"line {number}: {error}") from error
        if letter in found:
            raise ConfigurationError(f"line {number}: the letter {letter} comes twice")
        found[letter] = mended
    return found


class _LineError(Exception):
    """What is wrong with a line; it quotes nothing of a payload."""


def _read(line: str | bytes) -> tuple[RecordId, Mended]:
    try:
        read = json.loads(line)
    except (ValueError, RecursionError):
        raise _LineError("it is no JSON") from None
    if not isinstance(read, dict):
        raise _LineError("it is no exported letter: it is no JSON object")
    named, redacted = read.get("letter"), read.get("redacted") or ""
    if named is None:
        raise _LineError("'letter' is missing")
    try:
        letter = record_id_of(str(named))
    except ValueError:
        raise _LineError("'letter' is not the name of a letter, as an export writes it") from None
    try:
        Redaction(redacted)
    except (ValueError, TypeError, AttributeError):
        raise _LineError(
            "'redacted' is not what an export writes there: leave it as it was"
        ) from None
    return letter, Mended(_bytes(read), redacted)


def _content(name: str, content: bytes | None) -> dict[str, str | None]:
    try:
        return {name: None if content is None else content.decode()}
    except UnicodeDecodeError:
        return {f"{name}_base64": b64encode(content or b"").decode()}


def _bytes(read: dict[str, Any]) -> bytes | None:
    encoded, value = read.get("value_base64"), read.get("value")
    if encoded is not None:
        if value is not None:
            raise _LineError("it has value and value_base64: leave the one that you mended")
        try:
            return b64decode(encoded, validate=True)
        except (ValueError, TypeError):
            raise _LineError("value_base64 is not base64") from None
    if "value" not in read:
        raise _LineError("'value' is missing")
    if value is None:
        return None
    if not isinstance(value, str):
        raise _LineError(
            "value is not a text: write the payload as one JSON text, quoted as it was"
        )
    try:
        return value.encode()
    except UnicodeEncodeError:
        raise _LineError("value holds half of a surrogate pair, which is no UTF-8") from None


def _raw(value: str | bytes | None) -> bytes | None:
    return value.encode() if isinstance(value, str) else value
