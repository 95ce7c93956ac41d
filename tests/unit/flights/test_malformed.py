"""Each kind of malformed record is refused for the reason it says."""

from __future__ import annotations

from collections.abc import Callable
from random import Random

import pytest

from features.flights import usecase
from features.flights.data.malformed import KINDS, malformed
from features.flights.data.year import Record
from stream_app.features.events import InvalidEventError, LogRecord
from stream_app.wire.reasons import REASONS

DECODERS = {topic.name: topic.decoder for topic in usecase.topics}
MAX_VALUE_BYTES = 4096


def refusal(topic: str, value: bytes | None) -> str:
    """The reason a worker would refuse the value for."""
    if value is None:
        return "tombstone"
    if not value:
        return "empty-value"
    try:
        event = DECODERS[topic](LogRecord(value))
    except InvalidEventError as error:
        return error.reason
    low, high = usecase.times.range_at(clock=0.0)
    return "accepted" if low <= event.event_time <= high else "time-out-of-range"


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "oversized"])
def test_is_refused_for_its_reason(december: list[Record], kind: str) -> None:
    """A hundred of each kind, made from records of all topics."""
    rng = Random(kind)
    for _ in range(100):
        record = rng.choice(december[:2_000])
        assert refusal(record.topic, record.value) == "accepted"
        value, expected = malformed(rng, record.value, kind)
        assert expected in REASONS
        assert refusal(record.topic, value) == expected, value


def test_an_oversized_value_is_valid_but_for_its_size(december: list[Record]) -> None:
    """It is only a little over the limit, so that a producer can still send it."""
    record = december[0]
    value, expected = malformed(Random(0), record.value, "oversized", MAX_VALUE_BYTES)
    assert expected == "value-too-large"
    assert value is not None
    assert MAX_VALUE_BYTES < len(value) <= MAX_VALUE_BYTES + 64
    assert DECODERS[record.topic](LogRecord(value)) == DECODERS[record.topic](
        LogRecord(record.value)
    )


def test_a_seed_gives_the_same_records(december: list[Record]) -> None:
    """So a failing run can be repeated."""
    make: Callable[[], list[tuple[bytes | None, str]]] = lambda: [  # noqa: E731
        malformed(rng, december[0].value, kind) for rng in [Random(3)] for kind in KINDS
    ]
    assert make() == make()


def test_unknown_kinds_are_an_error(december: list[Record]) -> None:
    """A kind that does not exist raises and gives no valid value."""
    with pytest.raises(KeyError):
        malformed(Random(0), december[0].value, "unheard-of")
