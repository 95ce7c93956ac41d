"""The account: what became of every record, from the topics and the committed offsets alone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field

from demo.observation import Observation
from stream_app.features.events import Event
from stream_app.records.places import PartitionId, Place

__all__ = ["Fates", "account"]


@dataclass
class Fates:
    """How many records met which fate. Each record of the event topics is counted once.

    ``predicted + state_only + dead_lettered + lost == events``.
    """

    events: int = 0
    """Records in the event topics, malformed ones included."""
    valid: int = 0
    malformed: int = 0
    predicted: int = 0
    state_only: int = 0
    """Asked for no prediction, was not refused, and its offset is committed."""
    dead_lettered: int = 0
    lost: int = 0
    """Nothing came of it that should have."""
    double: int = 0
    """Predictions and dead letters above one a record."""
    dead_letters: Counter[str] = field(default_factory=Counter)
    """By reason."""
    served_by: Counter[str] = field(default_factory=Counter)
    unexpected: list[str] = field(default_factory=list)
    """Fates that the producer did not expect, each a sentence."""
    latencies_seconds: list[float] = field(default_factory=list)
    """From a record's timestamp to its prediction's."""

    @property
    def good(self) -> bool:
        """Whether everything went as it must."""
        return not (self.lost or self.double or self.unexpected)


def account(
    seen: Observation,
    events: Mapping[Place, Event],
    triggers: tuple[type[Event], ...],
    expected: Mapping[Place, str | None],
    committed: Mapping[PartitionId, int],
) -> Fates:
    """Account for every record of the event topics.

    `events` are the valid records, decoded; `expected` says for every record that the producer saw
    acknowledged why it must be refused, or None.
    """
    fates = Fates()
    for place, source in seen.sources.items():
        fates.events += 1
        predictions = seen.predictions.get(place, ())
        letters = seen.dead_letters.get(place, ())
        copies = len(predictions) + len(letters)
        fates.double += max(0, copies - 1)
        reason = expected.get(place)
        event = events.get(place)
        if event is None:
            fates.malformed += 1
        else:
            fates.valid += 1
        wanted = isinstance(event, triggers)
        if predictions:
            fates.predicted += 1
            fates.served_by[predictions[0].served_by] += 1
            fates.latencies_seconds.append(predictions[0].timestamp - source.timestamp)
            if not wanted:
                fates.unexpected.append(f"{place} asked for no prediction and has one.")
        elif letters:
            fates.dead_lettered += 1
            fates.dead_letters[letters[0].reason] += 1
            if letters[0].reason != reason:
                why = "is valid" if reason is None else f"should be refused as {reason}"
                fates.unexpected.append(f"{place} {why}; it was as {letters[0].reason}.")
        elif (
            event is not None and not wanted and place.offset < committed.get(place.partition_id, 0)
        ):
            fates.state_only += 1
        else:
            fates.lost += 1
    _look_for_what_should_not_be(fates, seen, expected)
    return fates


def _look_for_what_should_not_be(
    fates: Fates, seen: Observation, expected: Mapping[Place, str | None]
) -> None:
    fates.unexpected += [f"Not from an event: {stray}" for stray in seen.strays]
    fates.unexpected += [
        f"{place} is no record of the event topics, and something came of it."
        for place in (*seen.predictions, *seen.dead_letters)
        if place not in seen.sources
    ]
    fates.unexpected += [
        f"{place} was acknowledged by the brokers and is gone."
        for place in expected
        if place not in seen.sources
    ]
    fates.unexpected += [
        f"{place} was sent by nobody." for place in seen.sources if place not in expected
    ]
