"""Reads and updates as text, which the engine writes into the function it compiles for an event type.

There, a call a column and a call an update would cost more than the arithmetic.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from math import exp2, floor, inf, nan
from typing import Any, Final, TypeVar

from stream_app.features.dtypes import Dtype
from stream_app.features.kinds.contract import Apply, Read, Update, Values

__all__ = ["AGE", "EXPRESSION_NAMES", "Formula", "Statements", "compiled_as", "named"]

_Function = TypeVar("_Function", bound=Callable[..., None])

#: What the text of `Formula` and `Statements` may name besides what they are about.
EXPRESSION_NAMES: Final[dict[str, Any]] = {
    "exp2": exp2, "floor": floor, "inf": inf, "nan": nan,
}  # fmt: skip


class Formula:
    """A column as a Python expression over ``v``, the state's values, and ``at``, seconds.

    It is a `Read` like any function.
    """

    __slots__ = ("_read", "absent", "dtype", "expression", "operation")

    def __init__(
        self,
        expression: str,
        *,
        absent: str,
        operation: tuple[str, Any] | None = None,
        dtype: Dtype = "float32",
    ) -> None:
        """`absent`: the value where nothing is known, as an expression as well.

        `dtype`: what a column is that says nothing of it.

        `operation`: what of `stream_app.compiled.states` gives the same to the bit: its name and its
        parameter.
        """
        self.expression = expression
        self.absent = absent
        self.operation = operation
        self.dtype = dtype
        text = f"lambda v, at: {absent} if v is None else {expression}"
        self._read: Read = eval(text, dict(EXPRESSION_NAMES))  # noqa: S307  our own text

    def __call__(self, state: Values | None, at: float) -> Any:
        """The column's value."""
        return self._read(state, at)


class Statements:
    """An update as Python statements over ``v``, the state's values, ``update``, and its ``rank``
    and ``offset``.

    It is an `Apply` like any function.
    """

    __slots__ = ("_apply", "lines", "operation")

    def __init__(self, lines: Iterable[str], *, operation: tuple[str, Any] | None = None) -> None:
        """`operation`: see `Formula`."""
        self.lines = tuple(lines)
        self.operation = operation
        names = dict(EXPRESSION_NAMES)
        text = "def apply(v, update, rank, offset):\n    " + "\n    ".join(self.lines)
        exec(text, names)  # noqa: S102  our own text
        self._apply: Apply = names["apply"]

    def __call__(self, state: Values, update: Update, rank: int, offset: int) -> None:
        """Take the update in, in place."""
        self._apply(state, update, rank, offset)


def compiled_as(operation: tuple[str, Any]) -> Callable[[_Function], _Function]:
    """For an `apply` that is a method: see `Formula` for the operation that does the same."""

    def marked(function: _Function) -> _Function:
        function.operation = operation  # type: ignore[attr-defined]
        return function

    return marked


def named(name: str, read: Read, *, operation: tuple[str, Any] | None = None) -> Read:
    """Name a read that is a function by all that it depends on: a fingerprint may cover the name.

    `operation`: see `Formula`. With one, what is read where nothing is known depends on no moment.
    """
    read.__qualname__ = name
    read.operation = operation  # type: ignore[attr-defined]
    return read


#: Seconds since the newest update, for kinds whose first value is its time.
AGE: Final = Formula("float(at - v[0]) if at > v[0] else 0.0", absent="nan", operation=("age", 0))
