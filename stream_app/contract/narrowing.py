"""What one JSON Schema allows and another refuses.

It compares what pydantic writes: types, bounds, values, fields, items, unions. Of keywords that it
cannot compare, such as `pattern`, it takes each that is not the same in both for a narrowing.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

__all__ = ["Narrowing", "narrowings"]

Schema = Mapping[str, Any]


class Narrowing(NamedTuple):
    """A place at which the narrow schema refuses what the wide one allows."""

    path: str
    """Dotted path of the field; `[]` stands for the items of an array."""
    keyword: str
    """`type`, `required`, `undeclared`, or the keyword of JSON Schema."""
    wide: str
    narrow: str


_LIMITS: Final = (("minimum", "exclusiveMinimum", 1.0), ("maximum", "exclusiveMaximum", -1.0))
_SIZES: Final = {
    "minLength": 1.0, "minItems": 1.0, "minProperties": 1.0,
    "maxLength": -1.0, "maxItems": -1.0, "maxProperties": -1.0,
}  # fmt: skip
_SAME: Final = ("pattern", "format", "multipleOf", "uniqueItems", "contentEncoding", "not")


def narrowings(wide: Schema, narrow: Schema) -> list[Narrowing]:
    """Where `narrow` refuses what `wide` allows. References are looked up in the schema that has them."""
    return list(_Comparison(wide, narrow).of(wide, narrow, "", frozenset()))


class _Comparison:
    def __init__(self, wide: Schema, narrow: Schema) -> None:
        self._wide, self._narrow = wide, narrow

    def of(
        self, wide: Any, narrow: Any, path: str, met: frozenset[tuple[int, int]]
    ) -> Iterator[Narrowing]:
        """Compare two schemas; `met`: the pairs that are being compared, for types recur."""
        if (id(wide), id(narrow)) in met:
            return
        met |= {(id(wide), id(narrow))}
        wides = _alternatives(self._wide, wide)
        narrows = _alternatives(self._narrow, narrow)
        lost = False
        for each in wides:
            tried = [list(self._single(each, other, path, met)) for other in narrows]
            best = min(tried, key=len, default=[])
            of_no_type = any(found[:2] == (path, "type") for found in best)
            if not tried or of_no_type or (best and _is_gone(each, wides, narrows)):
                lost = True
            else:
                yield from best
        if lost:
            yield Narrowing(path, "type", _names(wides), _names(narrows))

    def _single(
        self, wide: Schema, narrow: Schema, path: str, met: frozenset[tuple[int, int]]
    ) -> Iterator[Narrowing]:
        if not _fits(wide.get("type"), narrow.get("type")):
            yield Narrowing(path, "type", _type_name(wide), _type_name(narrow))
            return
        yield from _values(wide, narrow, path)
        yield from _bounds(wide, narrow, path)
        for keyword in _SAME:
            if keyword in narrow and narrow[keyword] != wide.get(keyword):
                told = str(wide.get(keyword, "free"))
                yield Narrowing(path, keyword, told, str(narrow[keyword]))
        yield from self._fields(wide, narrow, path, met)
        yield from self._items(wide, narrow, path, met)

    def _fields(
        self, wide: Schema, narrow: Schema, path: str, met: frozenset[tuple[int, int]]
    ) -> Iterator[Narrowing]:
        wides, narrows = wide.get("properties", {}), narrow.get("properties", {})
        needed = wide.get("required", ())
        for name in narrow.get("required", ()):
            if name not in needed:
                told = "optional" if name in wides else "absent"
                yield Narrowing(_below(path, name), "required", told, "required")
        further = narrow.get("additionalProperties", True)
        for name, schema in wides.items():
            if name in narrows:
                yield from self.of(schema, narrows[name], _below(path, name), met)
            elif further is False:
                yield Narrowing(_below(path, name), "undeclared", "allowed", "refused")
            elif isinstance(further, Mapping):
                yield from self.of(schema, further, _below(path, name), met)
        before = wide.get("additionalProperties", True)
        if further is False and before is not False:
            yield Narrowing(_below(path, "*"), "undeclared", "allowed", "refused")
        elif isinstance(further, Mapping):
            yield from self.of({} if before is True else before, further, _below(path, "*"), met)

    def _items(
        self, wide: Schema, narrow: Schema, path: str, met: frozenset[tuple[int, int]]
    ) -> Iterator[Narrowing]:
        wides, wide_rest = _listed(wide)
        narrows, narrow_rest = _listed(narrow)
        for at in range(max(len(wides), len(narrows))):
            yield from self.of(
                wides[at] if at < len(wides) else wide_rest,
                narrows[at] if at < len(narrows) else narrow_rest,
                f"{path}[{at}]",
                met,
            )
        yield from self.of(wide_rest, narrow_rest, f"{path}[]", met) if narrow_rest else ()


def _alternatives(root: Schema, schema: Any) -> list[Schema]:
    """A schema as a list of schemas of one type each, of which one must hold; None: `false`."""
    if schema is True:
        return [{}]
    if schema is False:
        return []
    found = dict(schema)
    if isinstance(reference := found.pop("$ref", None), str):
        target: Any = root
        for part in reference.removeprefix("#/").split("/"):
            target = target[part.replace("~1", "/").replace("~0", "~")]
        return _alternatives(root, {**target, **found})
    for union in ("anyOf", "oneOf"):
        if isinstance(members := found.pop(union, None), Sequence):
            found.pop("discriminator", None)
            rest = {name: each for name, each in found.items() if name not in ("title", "type")}
            return [{**rest, **each} for member in members for each in _alternatives(root, member)]
    if isinstance(kinds := found.get("type"), list):
        return [{**found, "type": kind} for kind in kinds]
    return [found]


def _fits(wide: str | None, narrow: str | None) -> bool:
    return narrow is None or wide == narrow or (wide, narrow) == ("integer", "number")


def _is_gone(each: Schema, wides: Sequence[Schema], narrows: Sequence[Schema]) -> bool:
    """Whether a named member of a union has no namesake on the other side."""
    names = [other.get("title") for other in narrows]
    return each.get("type") == "object" and len(wides) > 1 and each.get("title") not in names


def _type_name(schema: Schema) -> str:
    if schema.get("type") == "object":
        return str(schema.get("title", "object"))
    return str(schema.get("type", "anything"))


def _names(schemas: Sequence[Schema]) -> str:
    return " or ".join(dict.fromkeys(map(_type_name, schemas))) or "nothing"


def _below(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name


def _listed(schema: Schema) -> tuple[Sequence[Any], Any]:
    """The schemas of an array's first items, and that of all others."""
    if isinstance(items := schema.get("items"), list):  # as draft 07 writes them
        return items, schema.get("additionalItems", True)
    return schema.get("prefixItems", ()), {} if items is None else items


def _values(wide: Schema, narrow: Schema, path: str) -> Iterator[Narrowing]:
    ours, theirs = _enumerated(wide), _enumerated(narrow)
    if theirs is None or (ours is not None and all(value in theirs for value in ours)):
        return
    told = "any" if ours is None else ", ".join(map(str, ours))
    yield Narrowing(path, "values", told, ", ".join(map(str, theirs)))


def _enumerated(schema: Schema) -> list[Any] | None:
    if "const" in schema:
        return [schema["const"]]
    return schema.get("enum")


def _span(values: Sequence[Any]) -> Schema:
    """The bounds that some values have by themselves."""
    numbers = [value for value in values if type(value) in (int, float)]
    sizes = [len(value) for value in values if isinstance(value, str)]
    return {
        **({"minimum": min(numbers), "maximum": max(numbers)} if numbers else {}),
        **({"minLength": min(sizes), "maxLength": max(sizes)} if sizes else {}),
    }


def _bounds(wide: Schema, narrow: Schema, path: str) -> Iterator[Narrowing]:
    wide = {**_span(_enumerated(wide) or ()), **wide}
    for plain, exclusive, sign in _LIMITS:
        if _limit(narrow, plain, exclusive, sign) > _limit(wide, plain, exclusive, sign):
            named = plain if plain in narrow else exclusive
            before, after = (_told(each, plain, exclusive) for each in (wide, narrow))
            yield Narrowing(path, named, before, after)
    for keyword, sign in _SIZES.items():
        if keyword in narrow and sign * narrow[keyword] > sign * wide.get(
            keyword, -sign * math.inf
        ):
            told = str(wide.get(keyword, "free"))
            yield Narrowing(path, keyword, told, str(narrow[keyword]))


def _limit(schema: Schema, plain: str, exclusive: str, sign: float) -> tuple[float, bool]:
    """The strictest lower limit, and whether it is excluded; an upper one is turned about."""
    limits = [(-math.inf, False)]
    limits += [(sign * schema[plain], False)] if plain in schema else []
    limits += [(sign * schema[exclusive], True)] if exclusive in schema else []
    return max(limits)


def _told(schema: Schema, plain: str, exclusive: str) -> str:
    limits = [str(schema[plain])] if plain in schema else []
    limits += [f"{schema[exclusive]}, excluded"] if exclusive in schema else []
    return " and ".join(limits) or "free"
