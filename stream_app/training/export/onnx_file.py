"""A model that is a graph already: its weights taken in, its batch axis freed."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from stream_app.training.errors import PackageError
from stream_app.training.export.exported import Exported

__all__ = ["free_batch_axis", "is_onnx", "read_onnx", "renamed"]

_MOST_BYTES: Final = 2**31 - 1
"""Of a graph in one file: protobuf's limit."""


def is_onnx(model: Any) -> bool:
    """Whether it is a path, bytes, or a `ModelProto`."""
    return isinstance(model, str | Path | bytes) or type(model).__name__ == "ModelProto"


def read_onnx(model: Any) -> Exported:
    """The graph in one piece, as serving takes it; raises `PackageError`."""
    try:
        import onnx
    except ImportError:
        # It may serve as it is; where it does not, the checks say so.
        return Exported(_plain_bytes(model))
    if isinstance(model, str | Path):
        try:
            proto = onnx.load(str(model))
        except Exception as error:  # noqa: BLE001 - protobuf's and the file system's
            why = " ".join(str(error).split())
            raise PackageError(f"{model} is no ONNX file that can be read whole: {why}") from None
    else:
        proto = onnx.ModelProto()
        try:
            proto.ParseFromString(model if isinstance(model, bytes) else model.SerializeToString())
        except Exception:  # noqa: BLE001 - protobuf's have no common class
            raise PackageError("the bytes given as a model are no ONNX graph.") from None
        if any(t.data_location == onnx.TensorProto.EXTERNAL for t in proto.graph.initializer):
            raise PackageError(
                "the graph's weights are in another file: hand the path of its file to package()."
            )
    if proto.ByteSize() > _MOST_BYTES:
        raise PackageError(
            f"the graph has {proto.ByteSize():,} bytes with its weights; a version's may have "
            f"{_MOST_BYTES:,}."
        )
    free_batch_axis(proto)
    return Exported(proto.SerializeToString(deterministic=True), libraries=("onnx",))


def free_batch_axis(proto: Any) -> None:
    """Let inputs and outputs have any number of rows, where the graph was exported with one."""
    constants = {tensor.name for tensor in proto.graph.initializer}
    for node in (*proto.graph.input, *proto.graph.output):
        shape = node.type.tensor_type.shape
        if node.name in constants or not shape.dim:
            continue
        if shape.dim[0].HasField("dim_value"):
            shape.dim[0].dim_param = "rows"


def renamed(graph: bytes, names: Mapping[str, str]) -> bytes:
    """The graph with other names for its outputs: old to new; raises `PackageError`."""
    import onnx

    proto = onnx.ModelProto()
    proto.ParseFromString(graph)
    taken = {name for node in proto.graph.node for name in (*node.input, *node.output)}
    taken |= {node.name for node in (*proto.graph.input, *proto.graph.initializer)}
    for output in proto.graph.output:
        new = names.get(output.name, output.name)
        if new == output.name:
            continue
        if new in taken:
            raise PackageError(f"the graph has a value {new} already: choose another name for it.")
        for node in proto.graph.node:
            for values in (node.input, node.output):
                values[:] = [new if value == output.name else value for value in values]
        output.name = new
    return bytes(proto.SerializeToString(deterministic=True))


def _plain_bytes(model: Any) -> bytes:
    if isinstance(model, str | Path):
        try:
            return Path(model).read_bytes()
        except OSError as error:
            raise PackageError(f"{model} cannot be read: {error.strerror}.") from None
    return model if isinstance(model, bytes) else bytes(model.SerializeToString())
