"""Pages of the documentation site that come from docstrings: kinds of state, decoders, the reference."""

from __future__ import annotations

import inspect
import json
import re
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from types import FunctionType
from typing import Any, Final

import stream_app
import stream_app.testing
from stream_app.features.events import EventDecoder

__all__ = ["GROUPS", "Group", "class_pages"]

#: What the engine asks of a kind of state, and a topic of a decoder: authors use the rest.
_OF_A_KIND: Final = ("width", "format", "describe", "empty", "check", "apply")
_OF_A_DECODER: Final = ("takes_tombstones", "event_types")


@dataclass(frozen=True)
class Group:
    """Public classes that have a page each, and a page that lists them."""

    title: str
    folder: str
    intro: str
    members: tuple[type, ...]
    hidden: tuple[str, ...]

    @property
    def nav(self) -> dict[str, list[dict[str, str]]]:
        """The group's part of the navigation."""
        pages = [{member.__name__: self.page_of(member)} for member in self.members]
        return {self.title: [{"Overview": f"{self.folder}.md"}, *pages]}

    @property
    def pages(self) -> Mapping[str, str]:
        """File below `docs/` to content."""
        lines = [f"# {self.title}", "", self.intro, "", "| name | what it is |", "|---|---|"]
        for member in self.members:
            doc = " ".join((inspect.getdoc(member) or "").partition("\n\n")[0].split())
            link = f"[{member.__name__}]({self.page_of(member)})"
            lines.append(f"| {link} | {doc.replace('|', '&#124;')} |")
        own = {
            self.page_of(member): _from_docstrings(member, level=1, without=self.hidden)
            for member in self.members
        }
        return {f"{self.folder}.md": "\n".join(lines) + "\n", **own}

    def page_of(self, member: type) -> str:
        """The page of one class."""
        name = re.sub(r"(?<=[a-z])(?=[A-Z])", "-", member.__name__).lower()
        return f"{self.folder}/{name}.md"


def _public() -> list[type]:
    found = [getattr(stream_app, name) for name in stream_app.__all__]
    return [each for each in found if isinstance(each, type)]


def _is_kind(found: type) -> bool:
    is_protocol = getattr(found, "_is_protocol", False)
    return not is_protocol and all(hasattr(found, name) for name in _OF_A_KIND)


GROUPS: Final = (
    Group(
        title="Kinds of state",
        folder="kinds",
        intro="What an entity's state holds, how events update it, and what columns read from it. Every "
        "kind is the same for any interleaving of partitions, takes each record once, and has a fixed "
        "size.",
        members=tuple(filter(_is_kind, _public())),
        hidden=(*_OF_A_KIND, "agrees"),
    ),
    Group(
        title="Decoders",
        folder="decoders",
        intro="What turns a record into an event. A topic of JSON needs none: `InputTopic(name, EventClass)`, "
        "or a union of event classes. A function of your own is a decoder too.",
        members=tuple(each for each in _public() if issubclass(each, EventDecoder)),
        hidden=_OF_A_DECODER,
    ),
)


@cache
def class_pages() -> Mapping[str, str]:
    """File below `docs/` to content, for every page that comes from docstrings."""
    pages = {name: text for group in GROUPS for name, text in group.pages.items()}
    return {**pages, "reference.md": _reference_page()}


def _reference_page() -> str:
    elsewhere = {member for group in GROUPS for member in group.members}
    lines = [
        "# Reference",
        "",
        "All that an author of a use case imports: from `stream_app`, and from `stream_app.testing` in tests.",
        "[Kinds of state](kinds.md) and [decoders](decoders.md) have pages of their own.",
    ]
    for module in (stream_app, stream_app.testing):
        lines += ["", f"## {module.__name__}"]
        for name in module.__all__:
            found = getattr(module, name)
            if not (isinstance(found, type) and found in elsewhere):
                lines += ["", _documented(name, found)]
    return "\n".join(lines) + "\n"


def _documented(name: str, found: Any) -> str:
    if inspect.isclass(found) or inspect.isfunction(found):
        return _from_docstrings(found, level=3)
    # A name for a type: what it is stands in the comment above it.
    return f"### {name}\n\n{_comment_above(name, stream_app._MODULE_OF[name])}"


def _comment_above(name: str, module: str) -> str:
    """The comment `#:` above a name, in the module or, where that is a package, in one of its own."""
    for each in [module, *(loaded for loaded in sys.modules if loaded.startswith(f"{module}."))]:
        source = inspect.getsource(import_module(each))
        if found := re.search(rf"(?m)((?:^#:.*\n)+){name}\b.*=", source):
            return re.sub(r"(?m)^#: ?", "", found[1])
    raise ValueError(f"{module}.{name} has no comment `#:` that says what it is")


def _from_docstrings(found: type | FunctionType, level: int, without: Sequence[str] = ()) -> str:
    name = found.__name__
    options = {
        "heading": name,
        "toc_label": name,
        "heading_level": level,
        "filters": ["!^_", *(f"!^{each}$" for each in without)],
    }
    return f"::: {found.__module__}.{found.__qualname__}\n    options: {json.dumps(options)}\n"
