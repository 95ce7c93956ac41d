"""Valid events the short way: by msgspec, which parses and checks in one pass, into pydantic's own classes.

A struct is derived from what pydantic itself validates by, its core schema, and from nothing that is not
listed here: what is unknown might decide something. Whatever a struct refuses is pydantic's to judge,
which says why; so are values with fields that the class does not name. What a struct takes, pydantic
would take too, with the same value of the same type in every field; `python -m tests.fuzz.fast_json`
looks for a value of which that is not true.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Any, Final, Literal, NamedTuple, Union

import msgspec
from pydantic import BaseModel, TypeAdapter
from pydantic_core import CoreSchema

from stream_app.compiled import compiled_module
from stream_app.features.events.event import Event
from stream_app.features.events.moments import (
    MOMENT_CHARACTERS,
    Moment,
    milliseconds_to_seconds,
    moment_to_seconds,
)

__all__ = ["NotExactError", "fast_decode"]

_MOMENT: Final[Any] = TypeAdapter(Moment).core_schema
_CONFIG: Final = Event.__pydantic_core_schema__["config"]

#: What a schema of each type may say, and by which name msgspec knows it; None: as it is assumed.
_STRICT: Final[Mapping[str, Any]] = {"type": None, "metadata": None, "strict": True}
_BOUNDS: Final = dict.fromkeys(("ge", "gt", "le", "lt"), "bound")
_KEYS: Final[Mapping[str, Mapping[str, Any]]] = {
    "str": {**_STRICT, "min_length": "bound", "max_length": "bound"},
    "int": {**_STRICT, **_BOUNDS},
    "float": {**_STRICT, **_BOUNDS, "allow_inf_nan": False},
    "bool": _STRICT,
    "literal": {"type": None, "metadata": None, "expected": None},
    "nullable": {**_STRICT, "schema": None},
    "default": {"type": None, "metadata": None, "schema": None, "default": None},
    "function-after": {"type": None, "metadata": None, "schema": None, "function": None},
    "json-or-python": {"type": None, "metadata": None, "json_schema": None, "python_schema": None},
    "model-field": {"type": None, "metadata": None, "schema": None},
    "model-fields": {
        "type": None, "metadata": None, "fields": None, "model_name": None, "computed_fields": [],
    },
    "model": {
        "type": None, "metadata": None, "schema": None, "cls": None, "config": None, "ref": None,
        "custom_init": False, "root_model": False,
    },
}  # fmt: skip
_TYPES: Final = {"str": str, "int": int, "float": float, "bool": bool}
_PLAIN: Final = (str, int, float, bool, type(None))
_REQUIRED: Final = object()


class NotExactError(Exception):
    """No struct stands for an event type exactly; the text says what pydantic is needed for."""


class _Field(NamedTuple):
    """A field as msgspec knows it."""

    annotation: Any
    convert: Callable[[Any], Any] | None = None
    default: Any = _REQUIRED


def fast_decode(types: Sequence[type[Event]], tag: str | None) -> Callable[[bytes], Event | None]:
    """What gives the event of a JSON value, or None where pydantic has to judge.

    `tag`: the field that tells the types apart, None where there is one. Raises `NotExactError`.
    """
    compiled = compiled_module("events")
    if compiled is None:
        raise NotExactError("nothing is compiled, and in Python this way is no shorter")
    try:
        structs = [_struct(each, tag) for each in types]
        decode = msgspec.json.Decoder(Union[tuple(structs)]).decode  # noqa: UP007
    except (TypeError, ValueError, OverflowError, RuntimeError) as error:
        # Bounds that msgspec does not know, or a class that pydantic cannot build yet.
        raise NotExactError(str(error)) from error
    build = {
        struct: _builder(each, tag, compiled.Builder)
        for struct, each in zip(structs, types, strict=True)
    }
    only = build[structs[0]] if len(structs) == 1 else None

    def event_of(value: bytes) -> Event | None:
        event: Event
        try:
            found = decode(value)
            event = build[type(found)](found) if only is None else only(found)
        except Exception:  # noqa: BLE001 - pydantic says what is wrong with it, if anything is
            return None
        return event

    return event_of


def _struct(event_type: type[Event], tag: str | None) -> type[msgspec.Struct]:
    fields: list[Any] = []
    options: dict[str, Any] = {}
    for name, field in _fields(event_type).items():
        if name == tag:
            # msgspec keeps it as the struct's own tag, and in no field.
            (text,) = field.annotation.__args__
            options = {"tag_field": name, "tag": text}
        elif field.default is _REQUIRED:
            fields.append((name, field.annotation))
        else:
            fields.append((name, field.annotation | msgspec.UnsetType, msgspec.UNSET))
    return msgspec.defstruct(
        event_type.__name__, fields, forbid_unknown_fields=True, kw_only=True, gc=False, **options
    )


def _fields(event_type: type[Event]) -> dict[str, _Field]:
    model = _of_type("model", event_type.__pydantic_core_schema__)
    if event_type.__new__ is not BaseModel.__new__:
        raise NotExactError("the class has a __new__ of its own")
    if {k: v for k, v in model["config"].items() if k != "title"} != {
        k: v for k, v in _CONFIG.items() if k != "title"
    }:
        raise NotExactError("the class has a model_config of its own")
    fields = _of_type("model-fields", model["schema"])
    return {
        name: _field(_said(field, f"field {name}")["schema"], f"field {name}")
        for name, field in fields["fields"].items()
    }


def _of_type(kind: str, schema: Any) -> Any:
    if schema["type"] != kind:
        raise NotExactError(f"the class is validated by {schema['type']}")
    return _said(schema, "the class")


def _said(schema: Any, where: str) -> Any:
    """The schema, if all that it says is known; raises `NotExactError`."""
    kind = schema["type"]
    known = _KEYS.get(kind)
    if known is None:
        raise NotExactError(f"{where} is validated by {kind}")
    for key, value in schema.items():
        if key not in known or (known[key] not in (None, "bound") and value != known[key]):
            raise NotExactError(f"{where} says {key}")
    return schema


def _field(schema: CoreSchema, where: str) -> _Field:
    said = _said(schema, where)
    kind = said["type"]
    if kind in _TYPES:
        known = _KEYS[kind].items()
        bounds = {key: said[key] for key, how in known if how == "bound" and key in said}
        plain = _TYPES[kind]
        return _Field(Annotated[plain, msgspec.Meta(**bounds)] if bounds else plain)
    if kind not in _FIELDS:
        raise NotExactError(f"{where} is validated by {kind}")
    return _FIELDS[kind](said, where)


def _default(said: Any, where: str) -> _Field:
    inner = _field(said["schema"], where)
    if type(said["default"]) not in _PLAIN or inner.default is not _REQUIRED:
        raise NotExactError(f"{where} has a default that is made anew for each event")
    return inner._replace(default=said["default"])


def _nullable(said: Any, where: str) -> _Field:
    inner = _field(said["schema"], where)
    if inner.default is not _REQUIRED:
        raise NotExactError(f"{where} has a default within what may be null")
    return inner._replace(annotation=inner.annotation | None)


def _literal(said: Any, where: str) -> _Field:
    if not all(type(text) is str for text in said["expected"]):
        raise NotExactError(f"{where} allows values that are no texts")
    return _Field(Literal[tuple(said["expected"])])


def _moment(said: Any, where: str) -> _Field:
    if said["json_schema"] != _MOMENT["json_schema"]:
        raise NotExactError(f"{where} is validated by json-or-python")
    text = Annotated[str, msgspec.Meta(max_length=MOMENT_CHARACTERS)]
    return _Field(text, moment_to_seconds)


def _milliseconds(said: Any, where: str) -> _Field:
    if said["function"] != {"type": "no-info", "function": milliseconds_to_seconds}:
        raise NotExactError(f"{where} has a validator of its own")
    return _field(said["schema"], where)._replace(convert=milliseconds_to_seconds)


_FIELDS: Final[Mapping[str, Callable[[Any, str], _Field]]] = {
    "default": _default,
    "nullable": _nullable,
    "literal": _literal,
    "json-or-python": _moment,
    "function-after": _milliseconds,
}


def _builder(event_type: type[Event], tag: str | None, builder: type[Any]) -> Any:
    """What makes an event of a struct; raises what a conversion raises."""
    fields = _fields(event_type)
    blank = {
        name: None if each.default is _REQUIRED else each.default for name, each in fields.items()
    }
    if tag is not None:
        (blank[tag],) = fields.pop(tag).annotation.__args__
    converted = [(name, each.convert) for name, each in fields.items()]
    return builder(event_type, converted, blank, msgspec.UNSET)
