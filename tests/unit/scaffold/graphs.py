"""Small graphs, each output an input that is passed on."""

from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

import onnx
from onnx import TensorProto, helper

DTYPES = {
    "float": TensorProto.FLOAT,
    "double": TensorProto.DOUBLE,
    "int64": TensorProto.INT64,
    "bool": TensorProto.BOOL,
    "string": TensorProto.STRING,
}


class Given(NamedTuple):
    """An input, and the name of the output that it is passed on to."""

    dtype: str
    shape: tuple[int | None, ...]
    output: str | None = None
    """By default the input's name and `_out`."""


def graph(path: Path, inputs: Mapping[str, Given]) -> Path:
    """Write a graph with these inputs; returns its path."""
    nodes, ins, outs = [], [], []
    for name, given in inputs.items():
        output = given.output or f"{name}_out"
        nodes.append(helper.make_node("Identity", [name], [output]))
        for side, value in ((ins, name), (outs, output)):
            side.append(
                helper.make_tensor_value_info(value, DTYPES[given.dtype], list(given.shape))
            )
    made = helper.make_graph(nodes, "small", ins, outs)
    opsets = [helper.make_opsetid("", 17)]
    onnx.save(helper.make_model(made, opset_imports=opsets, ir_version=8), str(path))
    return path
