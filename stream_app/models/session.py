"""ONNX Runtime, set up so that a row gives the same bytes whatever batch it comes in."""

from __future__ import annotations

import os
import re
from typing import Any, Final, Protocol

# The published wheels (seen: 1.32) send events to Microsoft, keep an identifier and a database in
# the cache folder and leave `.ses` in the temporary one. Read once, on import.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")

import onnxruntime

__all__ = ["Session", "open_session", "why_not_opened"]

#: Where ONNX Runtime raises, in its own source: its path, line and the signature of the function.
_PLACE: Final = re.compile(r"/\S+\.(?:cc|h):\d+ .*?\) (?=[A-Z])")
_CODE: Final = re.compile(r"^\[ONNXRuntimeError\] : \d+ : \w+ : ")
_TOO_NEW: Final = ("Unsupported model IR version", "Current official support for domain")


class Session(Protocol):
    """What is used of `onnxruntime.InferenceSession`."""

    def run(self, output_names: list[str], input_feed: dict[str, Any]) -> list[Any]:
        """Run the graph; raises what ONNX Runtime raises, which has no common class."""

    def get_inputs(self) -> list[Any]:
        """Name, type and shape of each input."""

    def get_outputs(self) -> list[Any]:
        """Name, type and shape of each output."""


def open_session(graph: bytes, threads: int = 1) -> Session:
    """Open a serialized graph on the CPU; raises what ONNX Runtime raises.

    One thread gave the same bits at every batch size, two did not; and the worker's parallelism is
    its processes.
    """
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
    options.use_deterministic_compute = True
    # An idle pool that spins takes a core from the threads that fetch and deliver.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # A plan of the memory is kept for each batch size ever seen: they all differ under load.
    options.enable_mem_pattern = False
    options.log_severity_level = 4  # fatal: errors are raised, and told in our own words
    session: Session = onnxruntime.InferenceSession(
        graph, options, providers=["CPUExecutionProvider"]
    )
    return session


def why_not_opened(error: BaseException) -> str:
    """What ONNX Runtime says of a graph that it does not open, on a line, and what to do if that is known."""
    told = _PLACE.sub("", _CODE.sub("", " ".join(str(error).split()))).removesuffix(".")
    if any(sign in told for sign in _TOO_NEW):
        version = onnxruntime.__version__
        told += (
            f". It was exported for a newer ONNX than this ONNX Runtime ({version}) knows: export it for "
            "an older opset, or install a newer onnxruntime"
        )
    return told
