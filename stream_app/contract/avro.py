"""An Avro schema that a producer can write events by, from the JSON Schema of their fields.

The worker reads a value by the schema that its producer registered, and then asks for the fields of the
contract. So this is one schema that fits, not the only one.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final

__all__ = ["avro_schema"]

_DEFS: Final = "#/$defs/"
_PLAIN: Final = {
    "boolean": "boolean", "integer": "long", "number": "double", "string": "string",
    "null": "null",
}  # fmt: skip
_LOGICAL: Final[Mapping[str, Mapping[str, str]]] = {
    "date-time": {"type": "long", "logicalType": "timestamp-micros"},
    "date": {"type": "int", "logicalType": "date"},
    "uuid": {"type": "string", "logicalType": "uuid"},
}
_DEFAULTS: Final[Mapping[Any, tuple[type, ...]]] = {
    "boolean": (bool,), "long": (int,), "double": (int, float), "string": (str,),
    "array": (list,), "map": (dict,),
}  # fmt: skip
_BYTES: Final = "binary"


def avro_schema(contract: Mapping[str, Any]) -> Any:
    """The schema of values of a contract; None where Avro has no words for what it asks for."""
    writing = _Writing(contract.get("$defs", {}))
    try:
        return writing.of(contract, str(contract.get("title", "Value")))
    except _NoWordsError:
        return None


class _NoWordsError(Exception):
    pass


class _Writing:
    def __init__(self, defs: Mapping[str, Any]) -> None:
        self._defs = defs
        self._named: set[str] = set()

    def of(self, schema: Mapping[str, Any], name: str) -> Any:
        """A schema; `name`: what a record is called that has no title."""
        if isinstance(reference := schema.get("$ref"), str):
            defined = reference.removeprefix(_DEFS)
            return self.of({"title": defined, **self._defs[defined]}, defined)
        for union in ("anyOf", "oneOf"):
            if union in schema:
                return self._union([self.of(each, name) for each in schema[union]])
        if "const" in schema or "enum" in schema:
            return self._values(schema)
        kind = schema.get("type")
        if kind == "object":
            return self._object(schema, str(schema.get("title", name)))
        if kind == "array":
            return {"type": "array", "items": self.of(self._items(schema), f"{name}_item")}
        form = str(schema.get("format"))
        if kind == "string" and form == _BYTES:
            return "bytes"
        if kind == "string" and form in _LOGICAL:
            return dict(_LOGICAL[form])
        if kind not in _PLAIN:
            raise _NoWordsError
        return _PLAIN[kind]

    def _union(self, members: Sequence[Any]) -> Any:
        flat: list[Any] = []
        for member in members:
            for each in member if isinstance(member, list) else [member]:
                if each not in flat:
                    flat.append(each)
        # A default of null, where a field may be left out, has to be of the first type.
        flat.sort(key=lambda each: each != "null")
        return flat if len(flat) > 1 else flat[0]

    def _values(self, schema: Mapping[str, Any]) -> Any:
        kinds = {type(value) for value in schema.get("enum", [schema.get("const")])}
        if kinds == {str}:
            return "string"
        if kinds == {int}:
            return "long"
        raise _NoWordsError

    def _items(self, schema: Mapping[str, Any]) -> Mapping[str, Any]:
        if "prefixItems" in schema or "items" not in schema:
            raise _NoWordsError
        items: Mapping[str, Any] = schema["items"]
        return items

    def _object(self, schema: Mapping[str, Any], title: str) -> Any:
        if "properties" not in schema:
            values = schema.get("additionalProperties")
            if not isinstance(values, Mapping):
                raise _NoWordsError
            return {"type": "map", "values": self.of(values, f"{title}_value")}
        name = re.sub(r"\W", "_", title, flags=re.ASCII)
        if name in self._named:
            return name
        self._named.add(name)
        needed = schema.get("required", ())
        return {
            "type": "record",
            "name": name,
            **_doc(schema),
            "fields": [
                self._field(field, declared, field in needed, f"{name}_{field}")
                for field, declared in schema["properties"].items()
            ],
        }

    def _field(
        self, name: str, declared: Mapping[str, Any], is_needed: bool, inner: str
    ) -> dict[str, Any]:
        if re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name) is None:
            raise _NoWordsError
        kind = self.of(declared, inner)
        made = {"name": name, "type": kind, **_doc(declared)}
        default = declared.get("default")
        if not is_needed and _takes(kind, default):
            made["default"] = default
        return made


def _takes(kind: Any, default: Any) -> bool:
    """Whether a field of this type can have the default: that of a union is of its first type."""
    if isinstance(kind, list):
        return default is None and kind[0] == "null"
    form = kind.get("type") if isinstance(kind, Mapping) and "logicalType" not in kind else kind
    return form in _DEFAULTS and type(default) in _DEFAULTS[form]


def _doc(schema: Mapping[str, Any]) -> dict[str, str]:
    return {"doc": str(schema["description"])} if "description" in schema else {}
