"""Dead letters that nobody has dealt with, and replays that no mark knows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Final

from stream_app.config.settings import Settings
from stream_app.dead_letters.resolutions import Resolutions, read_resolutions, resolutions_topic
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.topic_records import existing_partitions
from stream_app.records.record_id import RecordId

__all__ = ["LetterAccount", "letter_account"]

_EXAMPLES: Final = 5


class LetterAccount:
    """Holds letters and replays against what the topic of resolutions says."""

    def __init__(self, topic_id: str, resolutions: Resolutions) -> None:
        """`topic_id`: of the dead-letter topic."""
        self._topic_id = topic_id
        self._resolutions = resolutions
        self.open = 0
        self.open_examples: list[str] = []
        """The first of them, as PARTITION:OFFSET of the dead-letter topic."""

    def letter(self, partition: int, offset: int, origin: RecordId) -> None:
        """Take in a letter of a record that is audited."""
        letter = RecordId(self._topic_id, partition, offset)
        if self._resolutions.find(letter, origin) is None:
            self.open += 1
            if len(self.open_examples) < _EXAMPLES:
                self.open_examples.append(f"{partition}:{offset}")

    def unmarked(self, replays: Mapping[RecordId, int]) -> dict[RecordId, int]:
        """Of how many replays of an event no mark says that a letter was replayed."""
        marked = Counter(
            each.first_origin
            for each in self._resolutions.by_letter.values()
            if each.action == "replayed"
        )
        return {
            event: count - marked[str(event)]
            for event, count in replays.items()
            if count > marked[str(event)]
        }


def letter_account(
    brokers: Brokers, settings: Settings, application: str, topic_id: str
) -> LetterAccount | None:
    """The account of an application's letters; None where nobody has ever dealt with one."""
    topic = resolutions_topic(settings, application)
    if not existing_partitions(brokers, topic):
        return None
    return LetterAccount(topic_id, read_resolutions(brokers, topic))
