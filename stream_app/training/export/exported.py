"""What an export gives."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy.typing as npt

from stream_app.training.matrix import Matrix

__all__ = ["Exported"]


def _nothing(_: Matrix) -> dict[str, npt.NDArray[Any]]:
    return {}


@dataclass(frozen=True)
class Exported:
    """A serialized graph, and what is known of it that the graph does not say."""

    graph: bytes
    predict: Callable[[Matrix], Mapping[str, npt.NDArray[Any]]] = _nothing
    """What the original gives for a matrix, by output of the graph."""
    inputs: Mapping[str, Sequence[str]] | None = None
    """Columns of each input, where the model knows them."""
    outputs: Sequence[str] | None = None
    """The outputs that serve; None: all of them."""
    libraries: Sequence[str] = ()
    """Distributions that made it."""
