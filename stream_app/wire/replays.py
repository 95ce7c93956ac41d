"""Replays: records published again after another one, their first origin.

A replay says in its headers which record it was at first (`replay-of`) and whether that one had
updated the state (`replay-state`: applied or not-applied). Its prediction then has the first
origin's id, and an update that was applied is not applied again. Whoever may produce events can
write such headers too, so they are believed only with a `replay-token`: a message authentication
code, made with `replay_secret`, over application, origin, state, key and value. Without it they are
headers as any others, and the record is a record of its own.
"""

from __future__ import annotations

import hashlib
import hmac
from collections.abc import Sequence
from typing import Final, NamedTuple

from pydantic import SecretStr

from stream_app.records.headers import Header
from stream_app.records.record_id import RecordId, record_id_of

__all__ = ["REPLAY_HEADERS", "REPLAY_OF", "Replay", "Replays", "says_replay"]

REPLAY_OF: Final = "replay-of"
_STATE: Final = "replay-state"
_TOKEN: Final = "replay-token"  # noqa: S105 - the name of a header

#: Headers of a replay; none of them means anything without the others.
REPLAY_HEADERS: Final = frozenset({REPLAY_OF, _STATE, _TOKEN})

_STATES: Final = {b"applied": True, b"not-applied": False}
_LONGEST: Final = 128
"""Bytes of the longest header of a replay that can be genuine; foreign ones may be any size."""


class Replay(NamedTuple):
    """What a replayed record says of the record it was at first."""

    origin: RecordId
    applied: bool
    """Whether that one had updated the state, so that the replay must not."""


class Replays:
    """Makes the headers of replays and checks them, for one application."""

    def __init__(
        self,
        application: str,
        secret: SecretStr | None = None,
    ) -> None:
        """`secret`: one or several, separated by white space; the first makes tokens, and all are
        believed. Without one nothing is a replay."""
        words = secret.get_secret_value().split() if secret is not None else []
        self._application = application.encode()
        self._secrets = [word.encode() for word in words]

    def headers(self, replay: Replay, key: bytes | None, value: bytes | None) -> list[Header]:
        """The headers that make a record of this key and value a replay."""
        if not self._secrets:
            raise ValueError("replays are made with replay_secret, and it is not set")
        origin = str(replay.origin).encode()
        state = b"applied" if replay.applied else b"not-applied"
        token = self._token(self._secrets[0], origin, state, key, value)
        return [(REPLAY_OF, origin), (_STATE, state), (_TOKEN, token)]

    def __call__(
        self, key: bytes | None, value: bytes | None, headers: Sequence[Header]
    ) -> Replay | None:
        """The replay that a record is, or None: it says nothing of it, or cannot be believed."""
        return self._believed(key, value, dict(headers)) if says_replay(headers) else None

    def _believed(
        self, key: bytes | None, value: bytes | None, named: dict[str, str | bytes | None]
    ) -> Replay | None:
        origin, state, token = (_bytes(named.get(name)) for name in (REPLAY_OF, _STATE, _TOKEN))
        if state not in _STATES or not any(
            hmac.compare_digest(token, self._token(secret, origin, state, key, value))
            for secret in self._secrets
        ):
            return None
        try:
            return Replay(record_id_of(origin.decode()), _STATES[state])
        except ValueError:
            return None

    def _token(
        self, secret: bytes, origin: bytes, state: bytes, key: bytes | None, value: bytes | None
    ) -> bytes:
        code = hmac.new(secret, b"stream-app replay 1", hashlib.sha256)
        for part in (self._application, origin, state, key, value):
            # With their lengths, so that no two lists of parts give the same bytes.
            code.update(b"-" if part is None else b"%d:" % len(part))
            code.update(part or b"")
        return code.hexdigest().encode()


def says_replay(headers: Sequence[Header]) -> bool:
    """Whether a record calls itself a replay, believed or not."""
    return any(name == REPLAY_OF for name, _ in headers)


def _bytes(value: str | bytes | None) -> bytes:
    """A header's value if it is short enough to be genuine."""
    raw = value.encode("utf-8", "replace") if isinstance(value, str) else value or b""
    return raw if len(raw) <= _LONGEST else b""
