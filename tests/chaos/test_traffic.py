"""What the traffic calls no event is none, and what it calls an event is one."""

import random
from typing import Any

import pytest

from stream_app.features.events import InvalidEventError, LogRecord
from tests.chaos.spoiled import spoil
from tests.chaos.traffic import encoded
from tests.usecases import chaos_meters, regression

DECODERS = {topic.name: topic.decoder for topic in chaos_meters.usecase.topics}


def decoded(event: dict[str, Any], value: bytes | None) -> Any:
    """What the decoder of an event's topic makes of a value."""
    return DECODERS[chaos_meters.topic_of(event, chaos_meters.usecase)](LogRecord(value))


@pytest.mark.parametrize("number", range(0, 60, 3))
def test_a_spoiled_value_is_no_event(number: int) -> None:
    """In whatever way it was spoiled; that of a far year is one, and is not believed."""
    rng = random.Random(number)
    for event in regression.events(20, 1_700_000_000.0, seed=number):
        value = spoil(event, rng)
        if value and b"2099-" in value:
            assert decoded(event, value).event_time > 4e9
            continue
        with pytest.raises(InvalidEventError):
            decoded(event, value)


@pytest.mark.parametrize("number", [1.5e308, -1.5e308, 5e-324, -0.0])
def test_the_largest_numbers_are_events(number: float) -> None:
    """A reading may carry any number that is finite, and it reaches the state."""
    (event, *_) = regression.events(1, 1_700_000_000.0)
    read = decoded(event, encoded(event | {"magnitude": number}))
    assert read.magnitude == number
    (view,) = [v for v in chaos_meters.FEATURES.views if v.name == "meter_magnitude"]
    (update,) = [on(read) for on in view.on.values()]
    assert update == (read.event_time, number)
