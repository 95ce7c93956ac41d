"""A dead letter as it lies in its topic."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from contextlib import suppress
from datetime import datetime
from typing import Any, NamedTuple

from stream_app.dead_letters.mending import Change
from stream_app.records.headers import Header, Headers, read_headers
from stream_app.records.record_id import RecordId, record_id_of
from stream_app.text.redaction import Redaction
from stream_app.wire.dead_letter import (
    DeadLetter,
    headers_of_letter,
    headers_that_came,
    omitted,
    redacted_bytes,
)
from stream_app.wire.headers import by_name
from stream_app.wire.replays import REPLAY_HEADERS, REPLAY_OF, Replay, Replays

__all__ = ["Letter", "letter_of"]

_PARTS = ("headers", "key", "value")
_MOST_HIDDEN = 1_000
"""So many redacted texts are looked for in what a fix made of a value; else the change is not shown."""


class Letter(NamedTuple):
    """A dead letter, with what its headers say."""

    id: RecordId
    """Its own name: of the dead-letter topic, not of the record that failed."""
    written_at: float
    """When it was written, in seconds since the epoch."""
    key: bytes | None
    value: bytes | None
    headers: Sequence[Header]
    """All of them, a dead letter's own included."""
    said: DeadLetter
    origin: RecordId
    """The record that failed."""
    replay: Replay | None
    """What its record was a replay of, where that can be believed."""
    cut: frozenset[str] = frozenset()
    """What of "headers", "key" and "value" it has not, or not whole: left out, or redacted."""

    @property
    def place(self) -> str:
        """PARTITION:OFFSET in the dead-letter topic."""
        return f"{self.id.partition}:{self.id.offset}"

    @property
    def left_out_parts(self) -> frozenset[str]:
        """What it left out for its size, or by `dead_letter_payload`."""
        return self.cut - {"value"} if self.said.redacted else self.cut

    @property
    def first_origin(self) -> RecordId:
        """The record that it was before any replay."""
        return self.replay.origin if self.replay is not None else self.origin

    @property
    def is_identified(self) -> bool:
        """Whether it names a record by which a replay could be known: a topic's id was not always known,
        and somebody else may have written anything."""
        try:
            record_id_of(str(self.first_origin))
            record_id_of(str(self.origin))
        except ValueError:
            return False
        return True

    @property
    def claimed_first_origin(self) -> set[RecordId]:
        """Of a cut letter, the first origin that it names: nobody can tell yet whether that holds."""
        named = by_name(self.headers).get(REPLAY_OF) if self.cut else None
        with suppress(ValueError):
            return {record_id_of(named.decode() if isinstance(named, bytes) else named or "")}
        return set()

    @property
    def may_be_predicted_from(self) -> float:
        """Before this its event has no prediction that a replay would repeat, in seconds since the epoch.

        Not when the letter was written: a worker that had published the prediction may have died before
        it committed, and the next one, with other code, have refused the record.
        """
        with suppress(ValueError):
            return min(self.written_at, datetime.fromisoformat(self.said.timestamp).timestamp())
        return self.written_at

    @property
    def is_applied(self) -> bool:
        """Whether the record, or the one it was at first, has updated the state."""
        return self.said.state == "applied" or (self.replay is not None and self.replay.applied)

    @property
    def came_with(self) -> Headers:
        """The headers that its record had from its producer."""
        came = headers_that_came(self.headers)
        return [header for header in came if header[0] not in REPLAY_HEADERS]

    def completed(
        self, key: bytes | None, value: bytes | None, came: Sequence[Header], replays: Replays
    ) -> Letter:
        """The letter with what it had left out; `came`: the headers that its record came with."""
        ours = headers_of_letter(self.headers)
        return self._replace(
            key=key,
            value=value,
            headers=[*came, *ours],
            replay=replays(key, value, came),
            cut=frozenset(),
        )

    def left_out(self, part: str, content: bytes | None) -> bool:
        """Whether these may be the bytes of the part that it left out, or of which it replaced fields.

        Compared are length and digest; of a redacted value its length, and what is left of it.
        """
        named = by_name(self.headers)
        said = omitted(named, part)
        content = content or b""
        if said is None:
            redacted = Redaction(self.said.redacted)(content) if part == "value" else None
            return (
                redacted is not None
                and redacted.value == self.value
                and redacted_bytes(named) == len(content)
            )
        return said.length == len(content) and (
            said.sha256 is None or said.sha256 == hashlib.sha256(content).digest()
        )

    def shown(self, redaction: Redaction, *, numbered: bool = False) -> Letter:
        """The letter as people may see it: without what `redaction` names, and what it redacted itself.

        `numbered`: as with `Redaction`.
        """
        if not redaction and not self.said.redacted:
            return self
        redacted = redaction.and_also(self.said.redacted)(self.value, numbered=numbered)
        if redacted is None:
            return self
        return self._replace(
            value=redacted.value,
            said=self.said._replace(redacted=", ".join(redacted.paths)),
            cut=self.cut | {"value"},
        )

    def changed_to(self, value: bytes | None, redaction: Redaction) -> Change:
        """What a fix made of its value, as people may see it: also where it moved what is redacted."""
        before = self.shown(redaction)
        after = self._replace(value=value).shown(redaction)
        everything = redaction.and_also(self.said.redacted)
        hidden = everything.texts(self.value) | everything.texts(value)
        is_whole = (self.value is None) == (before.value is None)
        is_whole = is_whole and (value is None) == (after.value is None)
        return Change(
            self.place,
            before.value,
            after.value,
            hidden,
            is_shown=is_whole and len(hidden) <= _MOST_HIDDEN,
        )


def letter_of(message: Any, topic_id: str, replays: Replays) -> Letter:
    """Read a message of a dead-letter topic; raises `ValueError` where it is no dead letter."""
    try:
        headers = read_headers(message) or []
    except Exception as error:
        raise ValueError("its headers cannot be read") from error
    named = by_name(headers)
    said = DeadLetter.of(named)
    Redaction(said.redacted)
    key, value = message.key(), message.value()
    return Letter(
        RecordId(topic_id, message.partition(), message.offset()),
        message.timestamp()[1] / 1_000.0,
        key,
        value,
        headers,
        said,
        RecordId(said.topic_id, said.partition, said.offset),
        replays(key, value, headers) if REPLAY_OF in named else None,
        frozenset(
            part
            for part in _PARTS
            if omitted(named, part) is not None
            or (part == "value" and redacted_bytes(named) is not None)
        ),
    )
