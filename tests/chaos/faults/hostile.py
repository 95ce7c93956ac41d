"""Hostile records in the traffic: what no good producer writes, and anybody may.

Most are valid events, and have their answer. Those whose id begins with `untaken-` must be dead
letters, for their headers; those with `large-` may be, where the topic of predictions takes less.
"""

import random
from abc import abstractmethod
from collections.abc import Iterator
from typing import Any

from tests.chaos.books import LARGE, UNTAKEN
from tests.chaos.faults.base import Context, Fault
from tests.chaos.traffic import Hostile, encoded
from tests.raw_records import RawRecord

__all__ = [
    "Bombs", "Burst", "ExtremeNumbers", "ForgedReplays", "HostileMoments", "HugeKeys",
    "ManyHeaders", "OddHeaders", "OneMoment",
]  # fmt: skip

_LARGEST_KEY_BYTES = 900_000
_HEADERS = 60_000
_BOMB_BYTES = 20_000_000
_LARGEST_DOUBLE = 1.5e308

Headers = list[tuple[bytes, bytes | None]]


class _OnTraffic(Fault):
    """Adds records to those that keep coming."""

    target = "traffic"


class Burst(_OnTraffic):
    """A few thousand records at once."""

    kind = "burst"

    def begin(self, context: Context) -> None:
        context.traffic.burst(1_000 + self.choice % 2_000)


class OneMoment(_OnTraffic):
    """Thousands of records of one and the same moment."""

    kind = "one-moment"

    def begin(self, context: Context) -> None:
        context.traffic.burst(2_000 + self.choice % 4_000, one_moment=True)


class ExtremeNumbers(_OnTraffic):
    """The largest and smallest numbers that are finite, several in a batch."""

    kind = "extreme-numbers"

    def begin(self, context: Context) -> None:
        numbers = [_LARGEST_DOUBLE, _LARGEST_DOUBLE, -_LARGEST_DOUBLE, 5e-324, -0.0] * 8
        events = context.traffic.events(3 * len(numbers))
        readings = [event for event in events if "kilowatts" in event]
        for event, number in zip(readings, numbers, strict=False):
            event["magnitude"] = number
        context.traffic.send(events)


class _Raw(_OnTraffic):
    """Writes batches by hand."""

    codec = "none"

    def begin(self, context: Context) -> None:
        rng = random.Random(self.choice)
        for hostile in self.batches(context, rng):
            context.traffic.write(hostile)

    @abstractmethod
    def batches(self, context: Context, rng: random.Random) -> Iterator[Hostile]:
        """What is written, each batch to a partition."""


class OddHeaders(_Raw):
    """Header names and values that are not UTF-8, empty ones, the same one twice."""

    kind = "odd-headers"

    def batches(self, context: Context, rng: random.Random) -> Iterator[Hostile]:
        """Among records without, so that neighbours are there to suffer."""
        bad: list[Headers] = [
            [(b"\xff\xfe\xfd", b"1")],
            [(b"\xed\xa0\x80", None), (b"shift", bytes(range(256)))],
        ]
        good: list[Headers] = [
            [(b"", b"")],
            [(b"traceparent", b"\xff"), (b"traceparent", None)],
            [(b"prediction-id", b"mine"), (b"dead-letter.attempts", b"9" * 30)],
        ]
        for _ in range(4):
            made = context.traffic.events(6, f"{UNTAKEN}odd-headers")
            made += context.traffic.events(9, "odd-headers")
            rng.shuffle(made)
            for topic, events in context.traffic.by_topic(made):
                yield Hostile(
                    topic,
                    [
                        _record(event, headers=rng.choice(bad if _is_untaken(event) else good))
                        for event in events
                    ],
                )


class ManyHeaders(_Raw):
    """Sixty thousand tiny headers a record."""

    kind = "many-headers"
    weight = 0.7

    def batches(self, context: Context, rng: random.Random) -> Iterator[Hostile]:
        """One a batch: it is a quarter of a megabyte."""
        headers: Headers = [(b"h", b"")] * rng.randrange(_HEADERS // 2, _HEADERS)
        made = context.traffic.events(9, f"{UNTAKEN}many-headers")
        for topic, events in context.traffic.by_topic(made):
            for event in events:
                yield Hostile(topic, [_record(event, headers=headers)])


class HugeKeys(_Raw):
    """Keys of nearly a megabyte, and headers as large."""

    kind = "huge-keys"
    weight = 0.7

    def batches(self, context: Context, rng: random.Random) -> Iterator[Hostile]:
        """One a batch: more do not fit."""
        for number, (topic, events) in enumerate(
            context.traffic.by_topic(context.traffic.events(9, f"{LARGE}huge-keys"))
        ):
            for event in events:
                huge = rng.randbytes(rng.randrange(10_000, _LARGEST_KEY_BYTES))
                if number % 2:
                    yield Hostile(topic, [_record(event, key=huge)])
                else:
                    yield Hostile(topic, [_record(event, headers=[(b"huge", huge)])])


class Bombs(_Raw):
    """Batches of kilobytes that unpack to tens of megabytes; their values are no events."""

    kind = "bombs"
    weight = 0.7

    def batches(self, context: Context, rng: random.Random) -> Iterator[Hostile]:
        """With either codec."""
        for topic in context.testbed.topics:
            for codec in ("gzip", "zstd"):
                size = rng.randrange(_BOMB_BYTES // 2, _BOMB_BYTES)
                yield Hostile(topic, [RawRecord(bytes(size), b"bomb")], codec)


class HostileMoments(_Raw):
    """Moments of hundreds of kilobytes of digits, of years that no calendar has, and none."""

    kind = "hostile-moments"
    weight = 0.7

    def batches(self, context: Context, rng: random.Random) -> Iterator[Hostile]:
        """Whether they are events is for the contract to say."""
        for topic, events in context.traffic.by_topic(
            context.traffic.events(12, "hostile-moments")
        ):
            for event in events:
                text = str(event["event_time"]).partition("+")[0]
                event["event_time"] = rng.choice(
                    [
                        f"{text}{'0' * rng.randrange(100_000, 800_000)}+00:00",
                        "9999-12-31T23:59:59Z",
                        "0001-01-01T00:00:00+14:00",
                        None,
                    ]
                )
                yield Hostile(topic, [_record(event)])


class ForgedReplays(_Raw):
    """Records that claim to be replays, of a record that was answered or of none at all."""

    kind = "forged-replays"

    def batches(self, context: Context, rng: random.Random) -> Iterator[Hostile]:
        """Their claims: huge, senseless, and believable."""
        topic_id = context.topic_id(context.testbed.topics[-1])
        claims = [
            b"x" * rng.randrange(10_000, 800_000) + b"-0-0",
            b"\xff\xfe-0-0",
            f"{topic_id}-0-{10**40}".encode(),
            f"{topic_id}--1--1".encode(),
            f"{topic_id}-\u0661-\u0662".encode(),
            *(f"{topic_id}-0-{offset}".encode() for offset in range(5)),
        ]
        states = [None, b"applied", b"not-applied", b"\xff"]
        for claim in claims:
            for topic, (event, *_) in context.traffic.by_topic(
                context.traffic.events(3, "forged-replay")
            ):
                state = rng.choice(states)
                headers: Headers = [(b"replay-of", claim)]
                headers += [] if state is None else [(b"replay-state", state)]
                yield Hostile(topic, [_record(event, headers=headers)])


def _is_untaken(event: dict[str, Any]) -> bool:
    return str(event["event_id"]).startswith(UNTAKEN)


def _record(
    event: dict[str, Any],
    *,
    key: bytes | None = None,
    headers: Headers | None = None,
) -> RawRecord:
    return RawRecord(encoded(event), key or str(event["meter"]).encode(), headers or [])
