"""What the model versions of both use cases have in common."""

import hashlib
import platform
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from typing import Any

from stream_app import Manifest, TrainingData

__all__ = ["make_manifest", "suffixed"]

#: The window of event time that the generated data lie in.
START = datetime(2024, 1, 1, tzinfo=UTC)
END = datetime(2024, 1, 8, tzinfo=UTC)


def suffixed(name: str, suffix: str) -> str:
    """The name of a topic; each test has its own by a suffix."""
    return f"{name}.{suffix}" if suffix else name


def make_manifest(name: str, data: Sequence[Any], libraries: Sequence[str], **own: Any) -> Manifest:
    """The manifest of a version trained on `data`, which stands for itself as text."""
    return Manifest(
        name=name,
        version="1",
        training_data=TrainingData(
            start=START,
            end=END,
            rows=len(data),
            sha256=hashlib.sha256(repr(list(data)).encode()).hexdigest(),
        ),
        code_commit="unknown",
        seed=7,
        libraries={"python": platform.python_version()} | {lib: version(lib) for lib in libraries},
        created=END,
        **own,
    )
