"""Named fields of JSON, replaced in its bytes; every other byte stays as it was.

A path is written as

    passenger.name          the member `name` of the member `passenger`
    items[*].card           the member `card` of each element of the list `items`
    contacts.*              each member of the object `contacts`, whatever their names are
    passenger."full name"   a name with other characters than letters, digits, _ and -, as JSON text
    $                       the whole value

and several are separated by commas. Where a value has another form than a path says, a text where an
object should be, it is replaced as it is: what the path names may stand in there. So is `data_base64`, by
which CloudEvents may have their `data`, for a path that leads there. `null` holds nothing and stays. Of a value that is no JSON nobody can say where a field is, so all of it goes.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from json.decoder import scanstring  # type: ignore[attr-defined]
from typing import Any, Final, NamedTuple

__all__ = ["PLACEHOLDER", "Redacted", "Redaction", "is_everything"]

PLACEHOLDER: Final = '"[redacted]"'
"""What stands in a value where something was replaced: a JSON text."""
_BEGINNING: Final = "[redacted "
_NUMBERED: Final = '"[redacted {}]"'
_NUMBER: Final = re.compile(r'"\[redacted (\d{1,9})\]"', re.ASCII)

_EACH_ELEMENT: Final = 0
_EACH_MEMBER: Final = 1

#: The name of a member, or one of the two above.
_Step = str | int
_Path = tuple[_Step, ...]

_ROOT: Final = "$"
_STEP: Final = re.compile(r'(?P<name>[\w-]+)|(?P<text>"(?:[^"\\]|\\.)*")|(?P<member>\*)|\[\*\]')
_INDEX: Final = re.compile(r"\d{1,7}", re.ASCII)
"""Of an element of a list that fits into a record; a number of a card is longer."""
_OTHER_FORMS: Final = {"data_base64": "data"}
"""Members that hold another one in another form: the data of a CloudEvent whose value is all of it."""
_SPACE: Final = re.compile(r"[ \t\n\r]*")
_SEPARATOR: Final = re.compile(r"\s*,\s*")


class Redacted(NamedTuple):
    """A value of which something was replaced."""

    value: bytes | None
    """None: all of it is left out."""
    paths: tuple[str, ...]
    """Those that were met, as they were given; `$` where all of it is left out."""


class Redaction:
    """Replaces what some paths name."""

    def __init__(self, paths: str, *, most_bytes: int | None = None) -> None:
        """`paths` as above; raises `ValueError`, a sentence, where one is none.

        `most_bytes`: a longer value is not looked into, and left out.
        """
        self.paths: tuple[str, ...] = ()
        self._read: list[_Path] = []
        for text, path in _paths(paths):
            if text not in self.paths:
                self.paths += (text,)
                self._read.append(path)
        self._most_bytes = most_bytes

    def __bool__(self) -> bool:
        """Whether there is a path."""
        return bool(self._read)

    def __call__(self, value: bytes | None, *, numbered: bool = False) -> Redacted | None:
        """The value without what the paths name; None where it has nothing of it.

        `numbered`: each replacement has a number, so that `restored` knows it again.
        """
        if not value or not self._read:
            return None
        if self._most_bytes is not None and len(value) > self._most_bytes:
            return Redacted(None, (_ROOT,))
        try:
            frame, text = _framed(value)
            spans, met = self._look(text)
        except (ValueError, StopIteration, RecursionError):
            return Redacted(None, (_ROOT,))
        if not met:
            return None
        if any(not path for path in met):
            return Redacted(None, (_ROOT,))
        kept, at = [], 0
        for number, (begin, end) in enumerate(spans, 1):
            kept += [text[at:begin], _NUMBERED.format(number) if numbered else PLACEHOLDER]
            at = end
        said = tuple(t for t, path in zip(self.paths, self._read, strict=True) if path in met)
        return Redacted(frame + "".join((*kept, text[at:])).encode(), said)

    def texts(self, value: bytes | None) -> set[str]:
        """The texts and numbers of a value that are replaced in it; names, too.

        So that they can be looked for where somebody moved them. Empty where none is, or all of it goes.
        """
        if self(value) is None or value is None:
            return set()
        found: set[str] = set()
        try:
            _, text = _framed(value)
            for begin, end in self._look(text)[0]:
                _collect(_LEAVES.decode(text[begin:end]), found)
        except (ValueError, StopIteration, RecursionError):
            return set()
        return found

    def told(self, field: str) -> str:
        """A field's dotted path as it may be told: names below what is replaced are a producer's, too.

        The keys of a mapping may be what is to be redacted, such as numbers of cards.
        """
        parts = field.split(".")
        shown = min((_below(path, parts) for path in self._read), default=len(parts))
        return ".".join(parts[: max(1, shown)])

    def and_also(self, paths: str) -> Redaction:
        """With more paths; raises `ValueError` where one is none."""
        if not paths:
            return self
        return Redaction(", ".join((*self.paths, paths)), most_bytes=self._most_bytes)

    def restored(self, mended: bytes, original: bytes) -> bytes:
        """A value that was redacted with numbers and then changed, with what `original` had in their places.

        Wherever they stand by now. Raises `ValueError`, a sentence, where that cannot be told.
        """
        try:
            _, text = _framed(original)
            spans, _ = self._look(text)
            changed = mended.decode()
        except (ValueError, StopIteration, RecursionError):
            raise ValueError("what was redacted cannot be put back: it is no JSON") from None
        rest, at = [], 0
        for begin, end in spans:
            rest.append(text[at:begin])
            at = end
        if _BEGINNING in "".join((*rest, text[at:])):
            raise ValueError(
                f"what was redacted cannot be put back: the event itself has {_BEGINNING}"
            )

        def put_back(found: re.Match[str]) -> str:
            number = int(found[1])
            if not 1 <= number <= len(spans):
                raise ValueError(f"nothing was redacted under the number {number}")
            begin, end = spans[number - 1]
            return text[begin:end]

        whole = _NUMBER.sub(put_back, changed)
        if len(_NUMBER.findall(changed)) != changed.count(_BEGINNING):
            raise ValueError(f"{_BEGINNING} stands where it is no text with a number")
        return whole.encode()

    def _look(self, text: str) -> tuple[list[tuple[int, int]], set[_Path]]:
        walk = _Walk(text)
        begin = _after_space(text, 0)
        end = walk.value(begin, [(path, 0) for path in self._read])
        if _after_space(text, end) != len(text):
            raise ValueError("more than one JSON value")
        return walk.spans, walk.met


class _Walk:
    """Goes through a JSON text along some paths, and over all else at the speed of C."""

    def __init__(self, text: str) -> None:
        self._text = text
        self.spans: list[tuple[int, int]] = []
        """Where what is replaced begins and ends."""
        self.met: set[_Path] = set()

    def value(self, begin: int, active: Sequence[tuple[_Path, int]]) -> int:
        """Go over the value at `begin`, return where it ends; `active`: paths, and steps taken of each."""
        text = self._text
        if not active:
            end: int = _SCAN(text, begin)[1]
            return end
        is_object, is_list = text.startswith("{", begin), text.startswith("[", begin)
        replaced = [
            path
            for path, taken in active
            if taken == len(path) or not (is_list if path[taken] == _EACH_ELEMENT else is_object)
        ]
        if replaced:
            end = _SCAN(text, begin)[1]
            if text[begin:end] != "null":
                self.met.update(replaced)
                self.spans.append((begin, end))
            return end
        return self._members(begin, active, is_object=is_object)

    def _members(self, begin: int, active: Sequence[tuple[_Path, int]], *, is_object: bool) -> int:
        text, closing = self._text, "}" if is_object else "]"
        at = _after_space(text, begin + 1)
        if text.startswith(closing, at):
            return at + 1
        while True:
            inner = active
            if is_object:
                if not text.startswith('"', at):
                    raise ValueError("no name")
                name, at = scanstring(text, at + 1, True)
                at = _after_space(text, at)
                if not text.startswith(":", at):
                    raise ValueError("no colon")
                at = _after_space(text, at + 1)
                names = (name, _OTHER_FORMS.get(name, name), _EACH_MEMBER)
                inner = [each for each in active if each[0][each[1]] in names]
            at = self.value(at, [(path, taken + 1) for path, taken in inner])
            at = _after_space(text, at)
            if text.startswith(closing, at):
                return at + 1
            if not text.startswith(",", at):
                raise ValueError("no comma")
            at = _after_space(text, at + 1)


# What numbers and objects are is of no interest, and a number of many digits would be refused.
_SCAN: Final[Any] = json.JSONDecoder(
    parse_int=len, parse_float=len, parse_constant=len, object_pairs_hook=len
).scan_once  # type: ignore[attr-defined]

# Numbers as they are written.
_LEAVES: Final = json.JSONDecoder(parse_int=str, parse_float=str, parse_constant=str)

_FRAME_BYTES: Final = 5


def is_everything(paths: str) -> bool:
    """Whether paths say that all of a value is left out."""
    return _ROOT in Redaction(paths).paths


def _framed(value: bytes) -> tuple[bytes, str]:
    """The frame of a schema registry's serializer, where there is one, and the text behind it."""
    length = _FRAME_BYTES if value[:1] == b"\x00" else 0
    return value[:length], value[length:].decode()


def _below(path: _Path, parts: Sequence[str]) -> int:
    """How many parts of a field's path stand above what a path replaces; all where it replaces nothing."""
    for number, (step, part) in enumerate(zip(path, parts, strict=False)):
        if step == _EACH_ELEMENT:
            if not _INDEX.fullmatch(part):
                return number  # a name where an element should be: all of it is replaced
        elif step not in (_EACH_MEMBER, part):
            # A list where an object should be is replaced; any other member is not.
            return number if _INDEX.fullmatch(part) else len(parts)
    return min(len(path), len(parts))


def _collect(value: Any, into: set[str]) -> None:
    if isinstance(value, dict):
        into.update(value)
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            _collect(each, into)
    elif isinstance(value, str):
        into.add(value)


def _after_space(text: str, at: int) -> int:
    found = _SPACE.match(text, at)
    assert found is not None
    return found.end()


def _paths(text: str) -> Iterator[tuple[str, _Path]]:
    """Each path as it is written, and its steps."""
    at = len(text) - len(text.lstrip())
    end = len(text.rstrip())
    while at < end:
        began, steps = at, []
        if text.startswith(_ROOT, at):
            at += len(_ROOT)
        else:
            while True:
                found = _STEP.match(text, at)
                if found is None:
                    raise ValueError(_expected(text, at))
                steps.append(_step(found))
                at = found.end()
                if text.startswith(".", at):
                    at += 1
                    if text.startswith("[", at):
                        raise ValueError(_expected(text, at))
                elif not text.startswith("[", at):
                    break
        yield text[began:at], tuple(steps)
        if at < end:
            separator = _SEPARATOR.match(text, at)
            if separator is None or separator.end() >= end:
                raise ValueError(_expected(text, at))
            at = separator.end()


def _step(found: re.Match[str]) -> _Step:
    if found["text"] is not None:
        try:
            name: str = json.loads(found["text"])
        except ValueError:
            raise ValueError(f"{found['text']} is no JSON text") from None
        return name
    if found["name"] is not None:
        return found["name"]
    return _EACH_ELEMENT if found["member"] is None else _EACH_MEMBER


def _expected(text: str, at: int) -> str:
    where = f"at {text[at : at + 20]!r}" if at < len(text) else "at its end"
    return (
        f"expected paths such as passenger.name or items[*].card, separated by commas; {where} "
        "there is none"
    )
