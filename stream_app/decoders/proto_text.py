"""The text of a `.proto` file, from what protoc made of it: for people who write its messages.

Options other than `deprecated` and services are left out: they change no value.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

__all__ = ["proto_text"]

#: By number, as in `google/protobuf/descriptor.proto`.
_SCALARS: Final = {
    1: "double", 2: "float", 3: "int64", 4: "uint64", 5: "int32", 6: "fixed64", 7: "fixed32",
    8: "bool", 9: "string", 12: "bytes", 13: "uint32", 15: "sfixed32", 16: "sfixed64",
    17: "sint32", 18: "sint64",
}  # fmt: skip
_GROUP: Final = 10
_REQUIRED, _REPEATED = 2, 3


def proto_text(file: Any) -> str:
    """The text of a `FileDescriptor`; raises `ValueError` for groups, which proto2 alone knew."""
    from google.protobuf.descriptor_pb2 import FileDescriptorProto

    proto = FileDescriptorProto()
    file.CopyToProto(proto)
    lines = [f'syntax = "{proto.syntax or "proto2"}";']
    lines += [f"package {proto.package};"] if proto.package else []
    lines += [f'import "{name}";' for name in proto.dependency]
    for enum in proto.enum_type:
        lines += _enum(enum)
    for message in proto.message_type:
        lines += _message(message, proto.syntax == "proto3")
    return "\n".join(lines) + "\n"


def _enum(enum: Any) -> Iterator[str]:
    yield f"enum {enum.name} {{"
    if enum.options.allow_alias:
        yield "  option allow_alias = true;"
    for value in enum.value:
        yield f"  {value.name} = {value.number};"
    yield "}"


def _message(message: Any, is_proto3: bool) -> Iterator[str]:
    yield f"message {message.name} {{"
    entries = {each.name: each for each in message.nested_type if each.options.map_entry}
    for enum in message.enum_type:
        yield from _indented(_enum(enum))
    for nested in message.nested_type:
        if nested.name not in entries:
            yield from _indented(_message(nested, is_proto3))
    opened: set[int] = set()
    for field in message.field:
        if not field.HasField("oneof_index") or field.proto3_optional:
            yield f"  {_label(field, is_proto3, entries)}{_field(field, entries)}"
        elif field.oneof_index not in opened:
            opened.add(field.oneof_index)
            yield f"  oneof {message.oneof_decl[field.oneof_index].name} {{"
            for each in message.field:
                if each.HasField("oneof_index") and each.oneof_index == field.oneof_index:
                    yield f"    {_field(each, entries)}"
            yield "  }"
    yield "}"


def _indented(lines: Iterator[str]) -> Iterator[str]:
    return (f"  {line}" for line in lines)


def _label(field: Any, is_proto3: bool, entries: dict[str, Any]) -> str:
    if field.label == _REPEATED:
        return "" if _entry(field, entries) is not None else "repeated "
    if field.label == _REQUIRED:
        return "required "
    return "" if is_proto3 and not field.proto3_optional else "optional "


def _field(field: Any, entries: dict[str, Any]) -> str:
    entry = _entry(field, entries)
    kind = _type(field)
    if entry is not None:
        key, value = entry.field
        kind = f"map<{_type(key)}, {_type(value)}>"
    deprecated = " [deprecated = true]" if field.options.deprecated else ""
    return f"{kind} {field.name} = {field.number}{deprecated};"


def _entry(field: Any, entries: dict[str, Any]) -> Any:
    """The made-up message of a map's entries, where the field is a map."""
    return entries.get(field.type_name.rpartition(".")[2]) if field.type_name else None


def _type(field: Any) -> str:
    if field.type == _GROUP:
        raise ValueError(f"the field {field.name} is a group, which cannot be told as text")
    # Full names begin with a dot, which a file may leave out.
    return _SCALARS.get(field.type) or str(field.type_name).removeprefix(".")
