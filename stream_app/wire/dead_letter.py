"""Dead letters: the record as it came, and headers that say where it failed and why.

How one is written, how it is made smaller, and how its headers are read.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence, Set
from typing import Final, NamedTuple

from stream_app.records.batch import Outgoing
from stream_app.records.failure import Failure
from stream_app.records.headers import Header, Headers
from stream_app.records.item import Item
from stream_app.records.partition import Partition
from stream_app.records.record import Record
from stream_app.text.foreign import bounded
from stream_app.text.moments import to_the_millisecond
from stream_app.text.redaction import Redacted, Redaction
from stream_app.wire.headers import DEAD_LETTER, Named, by_name, number, text, traced

__all__ = [
    "ATTEMPTS",
    "DeadLetter",
    "DeadLetters",
    "Omitted",
    "headers_of_letter",
    "headers_that_came",
    "is_cut",
    "is_dead_letter",
    "omitted",
    "packed_headers",
    "redacted_bytes",
]

_DIGITS = 9
_MESSAGE_CHARACTERS: Final = 500
_OMISSIONS: Final = (
    frozenset({"headers"}),
    frozenset({"headers", "key"}),
    frozenset({"headers", "value"}),
    frozenset({"headers", "key", "value"}),
)
"""What is left out of a letter that is too large, step by step: a key that was left out in vain comes
back."""


class DeadLetter(NamedTuple):
    """What a dead letter says of its record. Each of these is a header: topic_id is
    `dead-letter.topic-id`."""

    topic: str
    """Where the record lies, as the next three say."""
    topic_id: str
    """Empty where it was not known."""
    partition: int
    offset: int
    timestamp: str
    """Of the record, in RFC 3339; empty where it has none."""
    group: str
    stage: str
    reason: str
    """A code of `stream_app.wire.reasons`, or one that a decoder of the use case made up."""
    message: str
    field: str
    """Dotted path of the field that was wrong; empty where it was none."""
    disposition: str
    """`poison`: the record is to blame; `bug`: code is."""
    attempts: int
    """How often the record has become a dead letter, replays included."""
    code_version: str
    model_version: str
    """NAME/VERSION of the champion."""
    failed_at: str
    """In RFC 3339."""
    state: str
    """`applied` or `not-applied`: whether the record had updated the state."""
    producer: str = ""
    """Who sent the record, as its header of the setting `producer_header` says; empty where it does not:
    then there is no such header."""
    redacted: str = ""
    """The paths of `redact_fields` that were met in the value, separated by commas; `$` where the value
    was left out, since fields of what is no JSON cannot be told apart. Empty where none was: then there
    is no such header."""

    @classmethod
    def of(cls, headers: Named) -> DeadLetter:
        """Read them; raises `ValueError` where they do not say which record it is.

        All else is empty where the letter, which somebody else may have written, does not say it, and
        bounded: people see it on their terminals.
        """
        said = {name: _shown(headers.get(header)) for name, header in _HEADERS.items()}
        return cls(
            **{name: bounded(each, _MESSAGE_CHARACTERS) for name, each in said.items()}
            | {  # type: ignore[arg-type]
                "redacted": said["redacted"],  # to be read as paths, of which none may be cut off
                "topic_id": text(headers, _HEADERS["topic_id"]),
                "partition": number(headers, _HEADERS["partition"]),
                "offset": number(headers, _OFFSET),
                "attempts": _count(headers.get(ATTEMPTS)),
            }
        )

    def headers(self) -> Headers:
        """The headers that say it."""
        return [
            (header, str(value).encode())
            for header, value in zip(_HEADERS.values(), self, strict=True)
            if value != "" or header not in _OPTIONAL
        ]


_HEADERS: Final = {name: DEAD_LETTER + name.replace("_", "-") for name in DeadLetter._fields}
(
    _TOPIC, _TOPIC_ID, _PARTITION, _OFFSET, _TIMESTAMP, _GROUP, _STAGE, _REASON, _MESSAGE, _FIELD,
    _DISPOSITION, _ATTEMPTS, _CODE_VERSION, _MODEL_VERSION, _FAILED_AT, _STATE, _PRODUCER, _REDACTED,
) = _HEADERS.values()  # fmt: skip
_OPTIONAL: Final = frozenset({_PRODUCER, _REDACTED})
ATTEMPTS: Final = _ATTEMPTS
"""A replay carries it on, so that the letter of one that fails again counts further."""
_FIRST_ATTEMPT: Final = (ATTEMPTS, b"1")
_APPLIED: Final = (_STATE, b"applied")
_NOT_APPLIED: Final = (_STATE, b"not-applied")


_PARTS: Final = ("headers", "key", "value")
_OMITTED_BYTES: Final = {part: f"{DEAD_LETTER}{part}-omitted-bytes" for part in _PARTS}
_OMITTED_SHA256: Final = {part: f"{DEAD_LETTER}{part}-omitted-sha256" for part in _PARTS}
_REDACTED_BYTES: Final = f"{DEAD_LETTER}redacted-bytes"


class Omitted(NamedTuple):
    """What a dead letter says of its record's key, value or headers, which it left out."""

    length: int
    sha256: bytes | None
    """None of a value that was redacted: what is short or well known could be guessed by it."""


class DeadLetters:
    """Writes dead letters for one worker."""

    kind = "dead letter"

    def __init__(
        self,
        topic: str,
        *,
        group: str,
        code_version: str,
        model_version: str,
        producer_header: str | None = None,
        keeps_value: bool = True,
        redaction: Redaction | None = None,
        clock: Callable[[], float] = time.time,
    ) -> None:
        """`keeps_value`: False leaves every record's value out, and tells its length and digest.

        `redaction` replaces fields of the values.
        """
        self.topic = topic
        self._group: Header = (_GROUP, group.encode())
        self._code_version: Header = (_CODE_VERSION, code_version.encode())
        self._model_version: Header = (_MODEL_VERSION, model_version.encode())
        self._producer_header = producer_header
        self._never_kept: Set[str] = frozenset() if keeps_value else frozenset({"value"})
        self._redaction = redaction or None
        self._clock = clock
        self._places: dict[tuple[str, str, int], tuple[Header, ...]] = {}

    def __call__(self, item: Item) -> Outgoing | None:
        """The dead letter of a failed item: key, value and headers as they came, and ours.

        None for an item that has not failed.
        """
        return None if item.failure is None else self.letter(item, item.failure)

    def letter(self, item: Item, failure: Failure) -> Outgoing:
        """The dead letter of an item that failed like this."""
        record = item.record
        redacted = self._redacted(record)
        headers = self._said(item, failure, redacted)
        if record.headers:
            headers = traced(headers_that_came(record.headers), item.traceparent) + headers
        letter = Outgoing(
            self.topic, record.key, record.value, headers, record.partition, item, self.kind
        )
        if redacted is not None or (self._never_kept and record.value):
            return _without(letter, record, self._gone(redacted), redacted)
        return letter

    def _said(self, item: Item, failure: Failure, redacted: Redacted | None) -> Headers:
        """The headers of `DeadLetter`, in its order.

        Many may be refused at once, so what is the same for all of them is made once.
        """
        record, partition = item.record, item.record.partition
        came = record.headers
        place = self._places.get((partition.topic, partition.topic_id, partition.number))
        at = record.timestamp
        said = [
            *(place or self._place(partition)),
            (_OFFSET, b"%d" % record.offset),
            (_TIMESTAMP, b"" if at is None else to_the_millisecond(at).encode()),
            self._group,
            (_STAGE, failure.stage.encode()),
            # A decoder of the use case's own may say anything.
            (_REASON, bounded(str(failure.reason)).encode()),
            (_MESSAGE, bounded(str(failure.message), _MESSAGE_CHARACTERS).encode()),
            (_FIELD, bounded(str(failure.field or "")).encode()),
            (_DISPOSITION, failure.disposition.encode()),
            _attempt(came) if came else _FIRST_ATTEMPT,
            self._code_version,
            self._model_version,
            (_FAILED_AT, to_the_millisecond(self._clock()).encode()),
            _APPLIED if item.is_applied else _NOT_APPLIED,
        ]
        if came and (producer := self._producer(came)):
            said.append((_PRODUCER, producer.encode()))
        if redacted is not None:
            said.append((_REDACTED, ", ".join(redacted.paths).encode()))
        return said

    def _place(self, partition: Partition) -> tuple[Header, ...]:
        """Where a partition's records lie; made once."""
        topic, topic_id, number = place = partition.topic, partition.topic_id, partition.number
        said = (
            (_TOPIC, topic.encode()),
            (_TOPIC_ID, topic_id.encode()),
            (_PARTITION, b"%d" % number),
        )
        self._places[place] = said
        return said

    def _redacted(self, record: Record) -> Redacted | None:
        return self._redaction(record.value) if self._redaction is not None else None

    def _gone(self, redacted: Redacted | None) -> Set[str]:
        """What no letter of this value keeps."""
        if redacted is not None and redacted.value is None:
            return self._never_kept | {"value"}
        return self._never_kept

    def _producer(self, headers: Sequence[Header]) -> str:
        if self._producer_header is None:
            return ""
        # Kept apart from the record's headers: a letter that is too large loses those first.
        return bounded(by_name(headers).get(self._producer_header) or "")

    def smaller(self, letter: Outgoing) -> Outgoing | None:
        """The letter with less in it, and headers that say what was left out; None: it is minimal.

        First the headers that came with the record go, then its key. The value goes last.
        """
        assert letter.item is not None
        record = letter.item.record
        contents = {
            "headers": headers_that_came(record.headers),
            "key": record.key,
            "value": record.value,
        }
        has = {part for part, content in contents.items() if content}
        redacted = self._redacted(record)
        never = self._gone(redacted)
        steps = list(dict.fromkeys((step | never) & has for step in _OMISSIONS))
        names = {name for name, _ in letter.headers}
        gone = frozenset(part for part in has if _OMITTED_BYTES[part] in names)
        behind = [step for step in steps[steps.index(gone) + 1 if gone in steps else 0 :] if step]
        return _without(letter, record, behind[0], redacted) if behind else None


def is_dead_letter(headers: Named) -> bool:
    """Whether a record is a dead letter, where predictions may lie in the same topic."""
    return _OFFSET in headers


def headers_that_came(headers: Sequence[Header]) -> Headers:
    """Those of the headers that came with the record: all but a dead letter's own."""
    return [header for header in headers if not header[0].startswith(DEAD_LETTER)]


def headers_of_letter(headers: Sequence[Header]) -> Headers:
    """A dead letter's own headers: those that did not come with the record."""
    return [header for header in headers if header[0].startswith(DEAD_LETTER)]


def omitted(headers: Named, part: str) -> Omitted | None:
    """What a letter says of its "key", "value" or "headers", if it says that it left it out.

    Raises `ValueError` where it does not say of which bytes.
    """
    length, sha256 = _OMITTED_BYTES[part], _OMITTED_SHA256[part]
    if headers.get(length) is None and headers.get(sha256) is None:
        return None
    if part == "value" and headers.get(sha256) is None and headers.get(_REDACTED):
        return Omitted(number(headers, length), None)
    return Omitted(number(headers, length), bytes.fromhex(text(headers, sha256)))


def is_cut(headers: Named) -> bool:
    """Whether a letter says that it left something out."""
    return any(name in headers for name in _OMITTED_BYTES.values())


def redacted_bytes(headers: Named) -> int | None:
    """How many bytes the value had in which a letter replaced fields; None where it replaced none.

    Raises `ValueError` where it does not say it.
    """
    if not headers.get(_REDACTED) or headers.get(_OMITTED_BYTES["value"]) is not None:
        return None
    return number(headers, _REDACTED_BYTES)


def _without(
    letter: Outgoing, record: Record, parts: Set[str], redacted: Redacted | None
) -> Outgoing:
    """The letter of a record without some parts, and with what is left of its value."""
    ours = [
        header
        for header in headers_of_letter(letter.headers)
        if "-omitted-" not in header[0] and header[0] != _REDACTED_BYTES
    ]
    came = headers_that_came(record.headers)
    content = {"headers": packed_headers(came), "key": record.key, "value": record.value}
    for part in _PARTS:
        if part in parts:
            left_out = content[part] or b""
            ours.append((_OMITTED_BYTES[part], b"%d" % len(left_out)))
            if part != "value" or redacted is None:
                digest = hashlib.sha256(left_out).hexdigest()
                ours.append((_OMITTED_SHA256[part], digest.encode()))
        elif part == "value" and redacted is not None:
            ours.append((_REDACTED_BYTES, b"%d" % len(record.value or b"")))
    value = record.value if redacted is None else redacted.value
    passed_on = traced(came, letter.item.traceparent if letter.item else None)
    return Outgoing(
        letter.topic,
        None if "key" in parts else record.key,
        None if "value" in parts else value,
        ours if "headers" in parts else passed_on + ours,
        letter.source,
        letter.item,
        letter.kind,
    )


def packed_headers(headers: Headers) -> bytes:
    """The bytes of headers whose length and digest are told: each name and value, a zero behind."""
    packed = bytearray()
    for name, value in headers:
        text = value.encode() if isinstance(value, str) else value or b""
        packed += name.encode() + b"\0" + text + b"\0"
    return bytes(packed)


def _shown(value: str | bytes | None) -> str:
    """The text of a header that anybody may have written."""
    return value.decode(errors="backslashreplace") if isinstance(value, bytes) else value or ""


def _attempt(came: Sequence[Header]) -> Header:
    """How often the record of these headers is a dead letter by now."""
    before = [value for name, value in came if name == ATTEMPTS]
    return (ATTEMPTS, b"%d" % (_count(before[-1]) + 1)) if before else _FIRST_ATTEMPT


def _count(value: str | bytes | None) -> int:
    """The number in a header that anybody may have written."""
    text = value.decode(errors="replace") if isinstance(value, bytes) else value or ""
    return int(text) if text.isascii() and text.isdigit() and len(text) <= _DIGITS else 0
