"""Messages of a consumer, few at once.

The library unpacks the headers of all that one call gives: tiny ones take thirty times what they
took in the log. So whoever takes many messages makes records of a few, and asks for more.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any, Final

from confluent_kafka import Consumer

__all__ = ["messages"]

_SLICE: Final = 16


def messages(
    consumer: Consumer, most: int, seconds: float, check: Callable[[], None]
) -> Iterator[Any]:
    """What comes within `seconds`, `most` messages at most.

    `check` is called before anything of an answer is given.
    """
    until = time.monotonic() + seconds
    while most > 0:
        asked = min(most, _SLICE)
        answer = consumer.consume(asked, max(0.0, until - time.monotonic()) if seconds else 0.0)
        check()
        yield from answer
        if len(answer) < asked:
            return
        most -= asked
