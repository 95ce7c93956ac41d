"""What a replay does with each letter, and why it leaves one where it is."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.mending import FixRaisedError, Mend
from stream_app.dead_letters.origins import OriginGoneError, Origins
from stream_app.dead_letters.outgoing_replay import OutgoingReplay, outgoing_replay
from stream_app.dead_letters.resolutions import Resolutions
from stream_app.dead_letters.selection import ABSENT
from stream_app.dead_letters.trial import Trial
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.wire.replays import Replays

__all__ = ["Obstacle", "Planned", "Planner"]

_BATCH: Final = 1_000
_BATCH_BYTES: Final = 8 * 2**20


class Obstacle(StrEnum):
    """Why a letter is not replayed."""

    ABSENT = ABSENT

    REPLAYED = "already replayed"
    RESOLVED = "marked as resolved"
    PREDICTED = "its event has a prediction by now"
    ATTEMPTS = "failed too often (--max-attempts)"
    TWICE = "another letter of the same record is replayed"
    NO_RECORD = "it does not say which record it is of"
    NO_TOPIC = "its event topic is none of the use case's"
    CUT = "cut, and not to be completed"
    FIX = "the fix raised"
    FAILS = "would fail again"
    REFUSED = "the brokers do not take the record"


@dataclass(frozen=True)
class Planned:
    """A letter, and what is done with it."""

    letter: Letter
    replay: OutgoingReplay | None
    """What is sent, if anything."""
    obstacle: Obstacle | None = None
    detail: str = ""
    """More about the obstacle, in words that quote nothing of the payload."""


@dataclass
class Planner:
    """Decides about letters, some at a time."""

    replays: Replays
    resolutions: Resolutions
    predicted: Collection[RecordId]
    origins: Origins
    partitions: Mapping[str, int]
    """Event topics, and how many partitions each has."""
    max_attempts: int
    target: tuple[str, int | None] | None = None
    """Topic, and partition, to replay to instead of the original ones."""
    mend: Mend | None = None
    mended: Callable[[Letter], bytes | None] | None = None
    """Gives the payload that somebody mended by hand, of a whole letter; instead of `mend`. Raises
    `ValueError` where that cannot be sent."""
    trial: Trial | None = None
    """Whether what is sent would pass; None: that is not asked."""

    def __post_init__(self) -> None:
        self._taken: set[RecordId] = set()

    def __call__(self, letters: Iterable[Letter]) -> Iterator[Planned]:
        """Decide about each, in the same order."""
        batch: list[Planned] = []
        held = 0
        for letter in letters:
            planned = self._plan(letter)
            batch.append(planned)
            held += len(planned.replay.value or b"") if planned.replay else 0
            if len(batch) >= _BATCH or held > _BATCH_BYTES:
                yield from self._tried(batch)
                batch, held = [], 0
        yield from self._tried(batch)

    def _plan(self, letter: Letter) -> Planned:
        obstacle = self._obstacle(letter)
        if obstacle is not None:
            return Planned(letter, None, obstacle)
        target = self._target(letter)
        if target is None:
            return Planned(letter, None, Obstacle.NO_TOPIC, letter.said.topic)
        try:
            whole = self.origins.completed(letter)
            value = whole.value
            if self.mended is not None:
                value = self.mended(whole)
            elif self.mend is not None:
                value = self.mend(value)
        except OriginGoneError as gone:
            return Planned(letter, None, Obstacle.CUT, str(gone))
        except (FixRaisedError, ValueError) as raised:
            return Planned(letter, None, Obstacle.FIX, str(raised))
        if whole.first_origin in self.predicted:  # known only now, of a cut one
            return Planned(letter, None, Obstacle.PREDICTED)
        self._taken.add(letter.origin)
        return Planned(whole, outgoing_replay(whole, target, value, self.replays))

    def _obstacle(self, letter: Letter) -> Obstacle | None:
        resolution = self.resolutions.of(letter)
        if resolution is not None:
            is_replayed = resolution.action == "replayed"
            return Obstacle.REPLAYED if is_replayed else Obstacle.RESOLVED
        if not letter.is_identified:
            return Obstacle.NO_RECORD
        if letter.first_origin in self.predicted:
            return Obstacle.PREDICTED
        if letter.said.attempts >= self.max_attempts:
            return Obstacle.ATTEMPTS
        return Obstacle.TWICE if letter.origin in self._taken else None

    def _target(self, letter: Letter) -> PartitionId | None:
        topic, number = self.target or (letter.said.topic, letter.said.partition)
        number = letter.said.partition if number is None else number
        if topic not in self.partitions:
            return None
        return PartitionId(topic, number % self.partitions[topic])

    def _tried(self, batch: list[Planned]) -> Iterator[Planned]:
        replays = [each.replay for each in batch if each.replay is not None]
        if self.trial is None or not replays:
            yield from batch
            return
        failures = iter(self.trial(replays))
        for each in batch:
            failure = next(failures) if each.replay is not None else None
            if failure is None:
                yield each
            else:
                what = f"{failure.stage} {failure.reason}: {failure.message}"
                yield Planned(each.letter, None, Obstacle.FAILS, what)
