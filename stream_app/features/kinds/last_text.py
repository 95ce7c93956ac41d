"""The newest text of each field."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

from stream_app.features.kinds.agreement import agree
from stream_app.features.kinds.checks import check_fields, check_times, given_updates, place_of
from stream_app.features.kinds.compiled import AGE, Formula, Statements
from stream_app.features.kinds.contract import Apply, InvalidUpdateError, Read, Update, Values
from stream_app.features.kinds.newest_wins import newest_wins_lines

__all__ = ["LastText"]

_NO_TEXT: Final = (-1.0, -1.0, b"")
_MOST_BYTES: Final = 255
"""What the length byte of `struct`'s code ``p`` can say."""


@dataclass(frozen=True)
class LastText:
    """The newest text of each field: {t, (rank, offset, UTF-8) a field}.

    Update: ``(time, text, ...)``, a str or None a field; which one is the newest is decided as by
    `LastValue`. A text of more than `max_bytes` in UTF-8 is refused, and its record is a dead
    letter: two texts that were cut alike would read as equal. Bound the field in the event's
    contract (``max_length``), or cut it in the update's function, where a comparison can cut as well.
    Reads: `value`, a str, "" where nothing is known; and `age`.
    Error: none.
    Memory: 8 bytes packed, and 17 + `max_bytes` a field, whatever its text.

    >>> state = LastText(("country",))
    >>> held = state.empty()
    >>> state.apply(held, (1.0, "São Tomé"), 0, 0)
    >>> state.value("country")(held, 2.0), state.value("country")(None, 2.0)
    ('São Tomé', '')
    """

    fields: tuple[str, ...]
    max_bytes: int = 64

    def __post_init__(self) -> None:
        """Raise `ValueError` for parameters that make no state."""
        check_fields(self, self.fields)
        if not 1 <= self.max_bytes <= _MOST_BYTES:
            raise ValueError(f"max_bytes of LastText is {self.max_bytes}: give 1 to {_MOST_BYTES}")

    @property
    def width(self) -> int:
        """Values in the state."""
        return 1 + 3 * len(self.fields)

    @property
    def format(self) -> str:
        """`struct` codes of the values: a text is one byte of length, then `max_bytes`."""
        return "d" + f"dd{self.max_bytes + 1}p" * len(self.fields)

    def describe(self) -> dict[str, Any]:
        """Kind and parameters."""
        return {"kind": "last-text", "fields": list(self.fields), "max_bytes": self.max_bytes}

    def empty(self) -> Values:
        """No updates yet: t is minus infinity."""
        return [-math.inf, *(_NO_TEXT * len(self.fields))]

    def check(self, updates: Iterable[Update | None]) -> None:
        """Raise `ValueError` unless each update has a time and a short text or None a field."""
        given = given_updates(updates, 1 + len(self.fields))
        check_times(given)
        for update in given:
            for field, text in zip(self.fields, update[1:], strict=True):
                if text is None:
                    continue
                if not isinstance(text, str):
                    raise InvalidUpdateError(f"{field} is not a str, but {type(text).__name__}")
                # A lone surrogate raises as well; it is a `ValueError`.
                if len(text.encode()) > self.max_bytes:
                    raise InvalidUpdateError(
                        f"{field} has {len(text.encode())} bytes in UTF-8, and {self.max_bytes} are "
                        "kept: bound it in the event's contract, cut it, or raise max_bytes"
                    )

    def agrees(self, left: Sequence[Any], right: Sequence[Any]) -> bool:
        """Whether two states hold the same updates: they are equal."""
        return agree(left, right)

    @cached_property
    def apply(self) -> Apply:
        """Takes ``(time, text or None, ...)`` in; time in seconds."""
        fields = [(at, f"text{at}") for at in range(1, self.width, 3)]
        return Statements(
            [
                f"time, {''.join(f'{text}, ' for _, text in fields)}= update",
                *newest_wins_lines(fields, "b''", lambda text: f"{text}.encode()"),
            ]
        )

    def value(self, name: str) -> Read:
        """The field's newest text; "" where nothing is known."""
        place = 3 + 3 * place_of(self, self.fields, name)
        return Formula(f"v[{place}].decode()", absent="''", dtype="string")

    def age(self) -> Read:
        """Seconds since the newest update; missing where nothing is known, never below 0."""
        return AGE
