"""What raised an exception, in words that quote nothing of a record.

The text of a foreign exception may quote the payload; its type and the line that raised it do not.
"""

from __future__ import annotations

import sys
import sysconfig
import threading
from pathlib import Path, PurePath
from traceback import walk_tb
from types import CodeType
from typing import Any, Final

from stream_app.text.foreign import bounded

__all__ = ["FeatureError", "cause_of", "is_ours", "place_of", "unless_told_to_end", "with_text"]

_PARTS: Final = 3
"""So much of a path is told: enough to find the file, and nothing of the machine."""
_OURS: Final = f"{Path(__file__).parents[1]}/"
_LIBRARIES: Final = (
    _OURS,
    "stream_app/compiled/",  # compiled code names its files so, wherever it is installed
    *{sysconfig.get_paths()[name] for name in ("stdlib", "platstdlib", "purelib", "platlib")},
    f"{sys.base_prefix}/lib/python",
)


def cause_of(error: BaseException) -> str:
    """``AttributeError 'amont' in load (shop/features/views.py:31)``: type, name, function, file and line.

    The line is the innermost one that belongs to no library, ours included, for that is where a person
    looks. A name that is missing is told where the function's own source has it: so it is none of a
    record's.
    """
    kind = type(error)
    name = kind.__qualname__
    if kind.__module__ != "builtins":
        name = f"{kind.__module__}.{name}"
    steps = [(frame.f_code, line) for frame, line in walk_tb(error.__traceback__)]
    files = [step for step in steps if not step[0].co_filename.startswith("<")]
    ours = [step for step in files if not step[0].co_filename.startswith(_LIBRARIES)]
    if not files:
        return bounded(name)
    code, line = (ours or files)[-1]
    name += _missing(error, code)
    return bounded(f"{name} in {code.co_name} ({_short(code.co_filename)}:{line})")


def _missing(error: BaseException, code: CodeType) -> str:
    """The attribute or variable that was asked for and is not there, if the source has it.

    No key: the text of a key that the source has too may still have come with the record.
    """
    if isinstance(error, AttributeError | NameError) and error.name in code.co_names:
        return f" {error.name!r}"
    return ""


def is_ours(error: BaseException) -> bool:
    """Whether code of this package raised it, so that its text is known to quote nothing."""
    code = None
    for frame, _ in walk_tb(error.__traceback__):
        code = frame.f_code
    return code is not None and code.co_filename.startswith(_OURS)


def with_text(message: str, error: BaseException | None) -> str:
    """A message with the text of an exception behind it, which may quote the payload.

    Whether a stage tells it is decided in `exception_texts.py`.
    """
    try:
        text = bounded(" ".join(str(error).split())) if error is not None else ""
    except BaseException as silent:  # noqa: BLE001 - a class of the use case's own may say nothing
        unless_told_to_end(silent)
        text = ""
    return f"{message}: {text}" if text else message


def place_of(function: Any) -> str:
    """Where a function is written, ``late (shop/features/views.py:31)``; else its name."""
    code = getattr(function, "__code__", None)
    name = getattr(function, "__name__", type(function).__name__)
    if code is None:
        return bounded(name)
    return bounded(f"{name} ({_short(code.co_filename)}:{code.co_firstlineno})")


def _short(path: str) -> str:
    return "/".join(PurePath(path).parts[-_PARTS:])


def unless_told_to_end(error: BaseException) -> None:
    """Raise the error again where it is Ctrl-C, and no doing of the code that was called.

    A use case's code may raise what is no `Exception`: `sys.exit`, or a panic of a library in Rust.
    """
    if (
        isinstance(error, KeyboardInterrupt)
        and threading.current_thread() is threading.main_thread()
    ):
        raise error


class FeatureError(Exception):
    """A function of the feature declaration failed for one record; `__cause__` is what it raised.

    `reason` is a code of the worker's catalogue; the text names the function and quotes nothing.
    """

    def __init__(self, reason: str, where: str, error: BaseException, why: str = "") -> None:
        super().__init__(f"{where}: {why or cause_of(error)}")
        self.reason = reason
        self.has_sentence = bool(why)
        """Whether it says what is wrong, and not what raised where."""
        self.__cause__ = error

    def told(self) -> str:
        """The text with that of the exception, which may quote the event."""
        cause = self.__cause__
        if self.has_sentence or (
            isinstance(cause, AttributeError | NameError) and repr(cause.name) in str(self)
        ):
            return str(self)
        return with_text(str(self), cause)
