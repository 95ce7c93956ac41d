from __future__ import annotations

from itertools import takewhile

import pytest

from features.events import Event
from features.flights.clock import local_midnight
from features.flights.year import DECEMBER, Record, events, known_at, records

DAY = 86_400.0


@pytest.fixture(scope="session")
def december() -> list[Record]:
    """The first 20,000 records of December."""
    return list(records(count=20_000))


@pytest.fixture(scope="session")
def three_days() -> list[Event]:
    """The events that became known on 1 to 3 December, in order."""
    end = local_midnight(DECEMBER) + 3 * DAY
    return list(takewhile(lambda event: known_at(event) < end, events(DECEMBER)))
