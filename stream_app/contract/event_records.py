"""What records of events must hold besides their values: keys, headers, timestamps."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from stream_app.features.events import Event
from stream_app.features.events.event import taken_of_record
from stream_app.features.events.record_fields import ID_CHARACTERS
from stream_app.features.usecase import TimeBounds

__all__ = ["event_headers", "event_key", "event_timestamp"]

Types = Sequence[type[Event]]

_ID: Final = {"type": "string", "minLength": 1, "maxLength": ID_CHARACTERS}
_TIME: Final = {"type": "string", "format": "date-time"}
_HEADER: Final = "header "


def event_key(types: Types) -> Mapping[str, Any]:
    """The schema of the keys of a topic that holds events of these types."""
    purpose = (
        "Give all records about one thing the same key: they lie in one partition then, and are taken in "
        "the order in which they were written. The key is passed on."
    )
    takers = [kind for kind, _, place in _taken(types) if place == "key"]
    if not takers:
        return {"type": ["string", "null"], "description": f"Any bytes, or none. {purpose}"}
    told = f"{_names(takers, 'event_id')}. {purpose}"
    if len(takers) < len(types):
        return {"type": ["string", "null"], "description": told}
    return {**_ID, "description": told}


def event_headers(types: Types) -> Mapping[str, Any]:
    """The schema of the headers of a topic that holds events of these types."""
    takers: dict[str, list[tuple[type[Event], str]]] = {}
    for kind, name, place in _taken(types):
        if place.startswith(_HEADER):
            takers.setdefault(place.removeprefix(_HEADER), []).append((kind, name))
    needed = "" if takers else "Any, and none is needed. "
    properties = {}
    for header, uses in takers.items():
        told = ", ".join(_names([kind], name) for kind, name in uses)
        properties[header] = {
            **(_ID if all(name == "event_id" for _, name in uses) else _TIME),
            "description": told,
        }
    return {
        "type": "object",
        "description": f"{needed}They are passed on with the prediction, but for those whose names the "
        "worker uses itself.",
        "properties": properties,
        "required": [
            header for header, uses in takers.items() if {kind for kind, _ in uses} == set(types)
        ],
    }


def event_timestamp(types: Types, times: TimeBounds) -> str:
    """What the timestamps of a topic that holds events of these types are for."""
    takers = [kind for kind, _, place in _taken(types) if place == "timestamp"]
    own = f"{_names(takers, 'event_time')}. " if takers else ""
    purpose = (
        f"{own}When the event became known. Records of different partitions and topics are taken in the "
        "order of their timestamps."
    )
    if times.earliest is not None and times.latest is not None:
        return purpose
    return (
        f"{purpose} The event's own time must lie {times.behind_seconds:,.0f} s before it at most, and "
        f"{times.ahead_seconds:,.0f} s after it at most; else the record becomes a dead letter."
    )


def _taken(types: Types) -> Iterator[tuple[type[Event], str, str]]:
    """Each type with what it takes from its record, and from where."""
    for kind in types:
        for name, source in taken_of_record(kind).items():
            yield kind, name, source.name


def _names(takers: Types, name: str) -> str:
    return f"The {name} of {' and '.join(kind.__name__ for kind in takers)}"
