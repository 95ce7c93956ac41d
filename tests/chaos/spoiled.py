"""Values that are no events: each belongs in a dead letter."""

import json
import random
from typing import Any

__all__ = ["spoil"]

_DEPTH = 10_000
_TOO_LARGE_BYTES = 600_000


def spoil(event: dict[str, Any], rng: random.Random) -> bytes | None:
    """The value of an event, spoiled in one of many ways."""
    whole = json.dumps(event).encode()
    which = rng.randrange(10)
    if which == 0:
        return whole[:-2]
    if which == 1:
        return None
    if which == 2:
        return json.dumps({name: v for name, v in event.items() if name != "meter"}).encode()
    if which == 3:
        return json.dumps(event | {"event_time": "2099-01-01T00:00:00Z"}).encode()
    if which == 4:
        return rng.choice([b"", b"null", b"[]", b"0", b'"\\ud800"'])
    if which == 5:
        return whole.replace(b'"m', b'"\xff\xfe', 1)
    if which == 6:
        return b"[" * _DEPTH + b"]" * _DEPTH
    if which == 7:
        name = "kilowatts" if "kilowatts" in event else "celsius"
        return json.dumps(event | {name: rng.choice([None, "1", 1.5e308, [1], True])}).encode()
    if which == 8:
        return json.dumps(event | {"event_id": rng.choice([None, "", "x" * 300, 5])}).encode()
    return json.dumps(event | {"area": "a" * rng.randrange(100, _TOO_LARGE_BYTES)}).encode()
