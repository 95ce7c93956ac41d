"""Dead letters as a topic gives them."""

from typing import Any

from pydantic import SecretStr

from stream_app.dead_letters.letter import Letter, letter_of
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.replays import Replays

__all__ = ["EVENTS_ID", "LETTERS_ID", "REPLAYS", "Message", "letter", "said"]

EVENTS_ID = "events-events-events-1"
LETTERS_ID = "letters-letters-letter"
REPLAYS = Replays("shop", SecretStr("correct-horse-battery"))


class Message:
    """As much of a message as is asked for."""

    def __init__(self, key: Any, value: Any, headers: Any, offset: int, at: float) -> None:
        self._parts = key, value, headers, offset, at

    def key(self) -> Any:
        """Its key."""
        return self._parts[0]

    def value(self) -> Any:
        """Its value."""
        return self._parts[1]

    def headers(self) -> Any:
        """Its headers."""
        return self._parts[2]

    def partition(self) -> int:
        """Always the first."""
        return 0

    def offset(self) -> int:
        """Its offset."""
        return self._parts[3]

    def timestamp(self) -> tuple[int, int]:
        """When it was produced."""
        return 1, round(self._parts[4] * 1_000)


def said(**about: Any) -> DeadLetter:
    """What a letter says, but for what is given."""
    told = dict.fromkeys(DeadLetter._fields, "") | {
        "topic": "orders", "topic_id": EVENTS_ID, "partition": 1, "offset": 7, "attempts": 1,
        "stage": "decode", "reason": "missing-field", "field": "carrier", "group": "shop",
        "disposition": "poison", "message": "carrier: Field required", "state": "not-applied",
    }  # fmt: skip
    return DeadLetter(**{**told, **about})


def letter(
    value: bytes | None = b'{"id":1}',
    *,
    offset: int = 0,
    at: float = 1_000.0,
    came: Any = (),
    key: bytes | None = b"k",
    **about: Any,
) -> Letter:
    """A letter with these bytes; `came`: the headers its event came with."""
    headers = [*came, *said(**about).headers()]
    return letter_of(Message(key, value, headers, offset, at), LETTERS_ID, REPLAYS)
