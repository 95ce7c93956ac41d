"""The parts of a use case that follow from a model's graph: event, columns, prediction, answer."""

from __future__ import annotations

import json
import keyword
import re
from collections.abc import Iterable, Mapping
from typing import Any, Final

from stream_app.features.events import Event
from stream_app.features.usecase import Prediction
from stream_app.features.views import Dtype
from stream_app.models.session import open_session, why_not_opened
from stream_app.scaffold.errors import ScaffoldError
from stream_app.training.graph_contract import dtype_of

__all__ = ["words_of"]

_PYTHON: Final[Mapping[Dtype, str]] = {
    "float32": "float", "float64": "float", "int64": "int", "bool": "bool", "string": "str",
}  # fmt: skip
_MADE_UP: Final = {
    "float": "round(rng.gauss(0.0, 1.0), 3)",
    "int": "rng.randrange(10)",
    "bool": "rng.random() < 0.5",
    "str": 'rng.choice(["a", "b", "c"])',
}
_SAMPLE: Final = {"float": "0.5", "int": "1", "bool": "True", "str": '"a"'}
_TENSOR_RANKS: Final = (1, 2)


def words_of(graph: bytes) -> dict[str, str]:
    """What the templates of `template/from_model/` leave open, for a serialized graph.

    Raises `ScaffoldError` for a graph whose inputs do not say how many columns they take, and
    `PackageError` for types that cannot be served.
    """
    try:
        session = open_session(graph)
    except Exception as error:  # ONNX Runtime's exceptions have no common class
        raise ScaffoldError(
            f"ONNX Runtime cannot open the model: {why_not_opened(error)}."
        ) from error
    inputs = _inputs(session.get_inputs())
    columns = [column for taken in inputs.values() for column in taken]
    fields = _fields(session.get_outputs())
    return {
        "INTRODUCTION": (
            "its model is `model.onnx`, and a request brings\nevery column. "
            "Name fields and columns as you like; views add what is known from earlier events."
        ),
        "EVENT_TOPIC": "PROJECT.requests",
        "HOW_TO_CHANGE": (
            "Put another model in the\nplace of `model.onnx`; where it takes other columns, change "
            "`events.py` and `views.py` as well, and `stream-app check`\nsays what has changed."
        ),
        "EVENT_FIELDS": _lines(4, (f"{name}: {kind}" for name, (kind, _) in columns)),
        "ROW_FEATURES": _lines(
            4,
            (
                f'RowFeature("{name}", "{name}", "1", "Column of the model.", "{dtype}"),'
                for name, (_, dtype) in columns
            ),
        ),
        "PREDICTION_FIELDS": _lines(4, (f"{name}: {kind}" for name, kind, _ in fields)),
        "ANSWER_FIELDS": _lines(8, (f'"{name}": {value},' for name, _, value in fields)),
        "INPUT_COLUMNS": _lines(
            4,
            (
                f"{_text(name)}: ({', '.join(f'{json.dumps(c)}' for c, _ in taken)},),"
                for name, taken in inputs.items()
            ),
        ),
        "MADE_UP_FIELDS": _lines(
            16, (f'"{name}": {_MADE_UP[kind]},' for name, (kind, _) in columns)
        ),
        "SAMPLE_FIELDS": _lines(4, (f'"{name}": {_SAMPLE[kind]},' for name, (kind, _) in columns)),
        "FIRST_COLUMN": columns[0][0],
    }


_Columns = list[tuple[str, tuple[str, Dtype]]]
"""Name, Python's type and dtype of each column of an input."""


def _inputs(nodes: Iterable[Any]) -> dict[str, _Columns]:
    """The columns that each input takes: its own name for one, c0, c1 and so on for several."""
    nodes = list(nodes)
    if not nodes:
        raise ScaffoldError("the model has no input.")
    several = sum(_width(node) > 1 for node in nodes) > 1
    taken: set[str] = set()
    inputs = {}
    for node in nodes:
        dtype, width = dtype_of(node, "input"), _width(node)
        start = f"{node.name}_c" if several else "c"
        wanted = [node.name] if width == 1 else [f"{start}{number}" for number in range(width)]
        inputs[node.name] = [
            (_named(name, Event, taken), (_PYTHON[dtype], dtype)) for name in wanted
        ]
    return inputs


def _width(node: Any) -> int:
    """How many columns an input takes."""
    shape = list(node.shape)
    if len(shape) > max(_TENSOR_RANKS):
        raise ScaffoldError(
            f"the model's input {node.name} has {len(shape)} axes, {shape}, as of an image or a sequence: "
            "what is served here takes rows of columns. Let the graph begin from (rows, columns), for "
            "example by a Reshape in front, where the number of columns is fixed."
        )
    width = (shape[-1] if len(shape) > 1 else 1) if shape else None
    if len(shape) not in _TENSOR_RANKS or not isinstance(width, int) or width < 1:
        raise ScaffoldError(
            f"the model's input {node.name} has {f'the shape {shape}' if shape else 'no shape'}: export it with the shape (rows,) "
            "or (rows, columns), where the number of columns is fixed."
        )
    return width


def _fields(nodes: Iterable[Any]) -> list[tuple[str, str, str]]:
    """Name, type and value of a prediction's fields, one an output."""
    taken: set[str] = set()
    fields = []
    for node in nodes:
        kind, value = _PYTHON[dtype_of(node, "output")], f"outputs[{_text(node.name)}]"
        inner = list(node.shape)[1:]
        if inner not in ([], [1]):
            kind, value = f"{'list[' * len(inner)}{kind}{']' * len(inner)}", f"{value}.tolist()"
        fields.append((_named(node.name, Prediction, taken), kind, value))
    return fields


def _named(wanted: str, base: type, taken: set[str]) -> str:
    """A name for a field that is close to the wanted one, and free; it is noted as taken."""
    name = re.sub(r"\W", "_", wanted, flags=re.ASCII).strip("_") or "value"
    known = {*dir(base), *getattr(base, "model_fields", ())}
    if not name.isidentifier() or keyword.iskeyword(name) or name in known or name[:6] == "model_":
        name = f"its_{name}"
    free, number = name, 2
    while free in taken:
        free, number = f"{name}_{number}", number + 1
    taken.add(free)
    return free


def _lines(indent: int, lines: Iterable[str]) -> str:
    """Lines of code, all but the first indented: the word they replace stands where it belongs."""
    return f"\n{' ' * indent}".join(lines)


def _text(name: str) -> str:
    return json.dumps(name)
