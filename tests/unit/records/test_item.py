"""A record on its way through the stages."""

from stream_app.features.engine.arrival import Arrival
from stream_app.features.events import Event
from stream_app.records.item import Item
from tests.unit.builders import partition, record


def test_an_item_begins_as_any_other_arrival() -> None:
    """It is built without the constructor of `Arrival`, and holds everything that one sets."""
    place = partition(3)
    event = Event.model_construct(event_id="e", event_time=1.0)
    item = Item(record(place, 7), event)
    arrival = Arrival(event, 0, place.rank, 7)
    assert {name: getattr(item, name) for name in Arrival.__slots__} == {
        name: getattr(arrival, name) for name in Arrival.__slots__
    }


def test_a_record_that_is_none_of_the_use_cases_is_skipped_and_updates_nothing() -> None:
    """A batch whose writes are made again applies the updates of those that are applied."""
    skipped = Item(record(partition()), None)
    assert (skipped.is_skipped, skipped.is_applied) == (True, False)
