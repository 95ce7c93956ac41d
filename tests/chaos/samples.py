"""Answers as workers publish them, for the tests of whoever judges them."""

import json
from typing import Any

from tests.integration.worker import Out

__all__ = ["dead_letter", "prediction"]

_TOPIC_ID = "t"


def prediction(offset: int, partition: int = 0, **changes: Any) -> Out:
    """A prediction; `changes` are fields of its value, or else headers."""
    value = {
        "prediction_id": f"{_TOPIC_ID}-{partition}-{offset}",
        "event_id": f"e{offset}",
        "event_time": "1970-01-01T00:00:01Z",
        "model": {"name": "meters", "version": "1"},
        "served_by": "champion",
        "degraded": None,
        "state_freshness_seconds": None,
        "kilowatts": 0.5,
        "peak": False,
    }
    value |= {name: change for name, change in changes.items() if name in value}
    headers = {
        "prediction-id": value["prediction_id"], "source-topic": "in",
        "source-partition": str(partition), "source-offset": str(offset),
    }  # fmt: skip
    headers |= {n.replace("_", "-"): change for n, change in changes.items() if n not in value}
    sent = [(name, text.encode()) for name, text in headers.items()]
    return Out("out", 0, 0, 1.0, b"key", json.dumps(value).encode(), [*sent])


def dead_letter(
    offset: int,
    *,
    key: bytes | None = b"key",
    value: bytes | None = b"{",
    topic_id: str = _TOPIC_ID,
    **more: str,
) -> Out:
    """A dead letter; `more` are headers of ours."""
    headers = {"topic": "in", "topic-id": topic_id, "partition": "0", "offset": str(offset),
               "reason": "invalid-json"} | more  # fmt: skip
    sent = [
        (f"dead-letter.{name.replace('_', '-')}", text.encode()) for name, text in headers.items()
    ]
    return Out("dead", 0, 0, 1.0, key, value, [*sent])
