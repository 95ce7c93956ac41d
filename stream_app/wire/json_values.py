"""Whether a value that a use case gave can be written as JSON, and if not, why.

The value itself is a payload and is not told.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pydantic_core import to_json

from stream_app.text.foreign import bounded

__all__ = ["is_json", "why_not_json"]


def is_json(value: object) -> bool:
    """Whether a value can be written as JSON."""
    try:
        to_json(value)
    except Exception:  # noqa: BLE001 - that is what is asked
        return False
    return True


def why_not_json(values: Mapping[str, Any], error: Exception) -> str:
    """The name and type of the first value that is not JSON, and the type of the `error` raised."""
    raised = f"{type(error).__module__}.{type(error).__qualname__}"
    for name, value in values.items():
        if not is_json(value):
            kind = f"{type(value).__module__}.{type(value).__qualname__}"
            return bounded(
                f"a value of type {kind} for {bounded(str(name))}, which is not JSON ({raised})"
            )
    return raised
