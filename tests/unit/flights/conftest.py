from __future__ import annotations

from collections.abc import Iterator
from functools import cache
from itertools import takewhile

import pytest

from features.flights.clock import local_midnight
from features.flights.data import year
from features.flights.data.year import DECEMBER, Record, events, known_at, records
from stream_app.features.events import Event

DAY = 86_400.0


@pytest.fixture(scope="session", autouse=True)
def _decompressed_once() -> Iterator[None]:
    """The year is read by many tests and takes a third of a second to decompress."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(year, "_lines", cache(year._lines))
        yield


@pytest.fixture(scope="session")
def december() -> list[Record]:
    """The first 20,000 records of December."""
    return list(records(count=20_000))


@pytest.fixture(scope="session")
def three_days() -> list[Event]:
    """The events that became known on 1 to 3 December, in order."""
    end = local_midnight(DECEMBER) + 3 * DAY
    return list(takewhile(lambda event: known_at(event) < end, events(DECEMBER)))
