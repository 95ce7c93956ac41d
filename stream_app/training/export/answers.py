"""The outputs of exported graphs, under names that a use case can rely on.

``probability`` of the second class, shape (rows,), of a model of two classes; ``probabilities``,
(rows, classes), of one of more; ``prediction``, (rows,) or (rows, n), of a model of numbers.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["answer_with", "serialized"]

#: Has what is added here, and is known to every ONNX Runtime that knows the trees.
_OPSET: Final = 15


def answer_with(
    proto: Any, source: str, name: str, *, pick: int | None = None, width: int | None = None
) -> None:
    """Let the graph give its value `source`, float and of shape (rows, n), as its output `name`.

    `pick`: of that column alone, as (rows,). `width`: n, where it is kept. The graph has no other
    output then.
    """
    graph = proto.graph
    # A converter of trees alone names no operators of the common domain.
    if not any(not opset.domain for opset in proto.opset_import):
        proto.opset_import.append(helper.make_opsetid("", _OPSET))
    if pick is None:
        if source != name:
            graph.node.append(helper.make_node("Identity", [source], [name]))
        shape = ["rows"] if width is None else ["rows", width]
    else:
        graph.initializer.append(numpy_helper.from_array(np.array(pick, np.int64), f"{name}_at"))
        graph.node.append(helper.make_node("Gather", [source, f"{name}_at"], [name], axis=1))
        shape = ["rows"]
    del graph.output[:]
    graph.output.append(helper.make_tensor_value_info(name, TensorProto.FLOAT, shape))


def serialized(proto: Any) -> bytes:
    """The graph's bytes, the same each time; checked first."""
    onnx.checker.check_model(proto)
    return bytes(proto.SerializeToString(deterministic=True))
