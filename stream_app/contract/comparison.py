"""What became of a use case's contracts, and whom it breaks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from stream_app.contract.narrowing import Narrowing, narrowings
from stream_app.contract.topics import KAFKA, Contract

__all__ = ["Change", "changes"]

_PARTS = (("", None), ("key", "key"), ("header", "headers"))
"""What is compared of a record: how it is told, and where its schema stands."""


@dataclass(frozen=True)
class Change:
    """One difference between two contracts."""

    topic: str
    breaks: Literal["producers", "consumers"] | None
    """Whose code or data does not fit any more; None: nobody's."""
    what: str


def changes(old: Sequence[Contract], new: Sequence[Contract]) -> list[Change]:
    """Every difference, those that break somebody first.

    Producers of events are broken where an event is refused that was taken before, consumers where
    something is published that the old contract did not promise.
    """
    found = list(_changes(_by_place(old), _by_place(new)))
    return sorted(found, key=lambda change: change.breaks is None)


_Places = dict[tuple[str, str], Contract]


def _by_place(contracts: Sequence[Contract]) -> _Places:
    return {(each[KAFKA]["role"], each[KAFKA]["topic"]): each for each in contracts}


def _changes(old: _Places, new: _Places) -> Iterator[Change]:
    moved = _moved(old, new)
    for (role, topic), contract in old.items():
        successor = moved.get((role, topic), (role, topic))
        if successor not in new:
            yield Change(topic, _reader(role), f"the topic is not {_used(role)} any more")
            continue
        if successor[1] != topic:
            yield Change(topic, _reader(role), f"the topic is called {successor[1]} now")
        yield from _records(successor[1], contract, new[successor])
    if (
        len(old) > 1
    ):  # a single contract is no whole use case: it does not tell which topics are new
        for role, topic in [each for each in new if each not in old and each not in moved.values()]:
            yield Change(topic, None, f"the topic is {_used(role)} now")


def _moved(old: _Places, new: _Places) -> dict[tuple[str, str], tuple[str, str]]:
    """Topics that are gone, with the one that came instead: of the same role and the same title."""
    gone = [each for each in old if each not in new]
    come = [each for each in new if each not in old]
    moved = {}
    for place in gone:
        fits = [
            other
            for other in come
            if other[0] == place[0]
            and (place[0] != "events" or old[place].get("title") == new[other].get("title"))
        ]
        if len(fits) == 1:
            moved[place] = fits[0]
    return moved


def _records(topic: str, old: Contract, new: Contract) -> Iterator[Change]:
    role, partitions = new[KAFKA]["role"], new[KAFKA]["partitions"]
    for told, part in _PARTS:
        before, after = (_part(each, part) for each in (old, new))
        # What events must be narrows towards us; what is published, towards those who read it.
        strict, loose = narrowings(before, after), narrowings(after, before)
        if role != "events":
            strict, loose = loose, strict
        is_read = role == "events"
        breaking = {_sentence(told, each, narrowed=is_read): None for each in strict}
        for what in breaking:
            yield Change(topic, _reader(role), what)
        for each in loose:
            if each.keyword == "required" and each.wide == "absent" and "." not in each.path:
                continue  # that it came or went is told below
            what = _sentence(told, each, narrowed=not is_read)
            if what not in breaking:  # another type is both narrower and wider
                yield Change(topic, None, what)
        yield from _fields(topic, role, told, before, after, strict)
    before, after = (each[KAFKA].get("without_value") for each in (old, new))
    if before != after:
        told = f"is the event {after} now" if after else "is no event any more"
        yield Change(topic, None if after else "producers", f"a record without a value {told}")
    formats = [each[KAFKA].get("value", {}).get("format", "plain") for each in (old, new)]
    if formats[0] != formats[1]:
        what = "the format of values was {}, is {}".format(*map(_format, formats))
        yield Change(topic, _reader(role), what)
    if old[KAFKA]["partitions"] != partitions:
        what = f"partitions were {old[KAFKA]['partitions']}, are {partitions}: keys move to others"
        yield Change(topic, None, what)


def _part(contract: Contract, part: str | None) -> Mapping[str, Any]:
    found: Mapping[str, Any] = contract if part is None else contract[KAFKA][part]
    return found


def _fields(
    topic: str,
    role: str,
    told: str,
    before: Mapping[str, Any],
    after: Mapping[str, Any],
    strict: Sequence[Narrowing],
) -> Iterator[Change]:
    """Fields of the record itself that came or went, which schemas that let all pass do not tell."""
    if not ("properties" in before and "properties" in after):
        return
    known = {each.path for each in strict}
    olds, news = (each["properties"] for each in (before, after))
    for name in [each for each in olds if each not in news and each not in known]:
        breaks = None if role == "events" else _reader(role)
        yield Change(topic, breaks, _named(told, f"{name} is gone"))
    for name in [each for each in news if each not in olds and each not in known]:
        yield Change(topic, None, _named(told, f"{name} is new"))


def _sentence(told: str, found: Narrowing, *, narrowed: bool) -> str:
    """In the order of time: `narrowed` where the new contract is the narrow one."""
    before, after = (found.wide, found.narrow) if narrowed else (found.narrow, found.wide)
    where = found.path or "the value"
    if found.keyword == "required":
        if narrowed:
            what = "is required now" if before == "optional" else "is new and required"
        else:
            what = "is gone" if after == "absent" else "may be missing now"
        return _named(told, f"{where} {what}")
    if found.keyword == "undeclared":
        return _named(told, f"{where} was {before}, is {after}")
    return _named(told, f"{where}: {found.keyword} was {before}, is {after}")


def _named(told: str, what: str) -> str:
    if told == "key":
        return f"key: {what.removeprefix('the value').lstrip(': ')}"
    return f"{told} {what}" if told else what


def _format(name: str) -> str:
    return "that of no schema registry" if name == "plain" else f"{name} of a schema registry"


def _reader(role: str) -> Literal["producers", "consumers"]:
    return "producers" if role == "events" else "consumers"


def _used(role: str) -> str:
    return "read" if role == "events" else "written"
