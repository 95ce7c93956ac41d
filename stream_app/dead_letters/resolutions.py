"""Which dead letters are dealt with: a small compacted topic of ours says it, a record a letter.

The key is the letter's name (TOPIC ID-PARTITION-OFFSET of the dead-letter topic), the value is JSON.
"""

from __future__ import annotations

from contextlib import suppress
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from stream_app.config.settings import Settings
from stream_app.dead_letters.letter import Letter
from stream_app.kafka.brokers import Brokers
from stream_app.kafka.topic_records import topic_records
from stream_app.records.record_id import RecordId, record_id_of

__all__ = [
    "Resolution", "Resolutions", "read_resolutions", "resolution_of", "resolutions_topic",
]  # fmt: skip


def _is_a_record(name: str) -> str:
    record_id_of(name)
    return name


class Resolution(BaseModel):
    """What became of a dead letter."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    action: Literal["replayed", "resolved"]
    """`resolved`: somebody says that nothing is left to do."""
    origin: Annotated[str, AfterValidator(_is_a_record)]
    """The record that failed, as TOPIC ID-PARTITION-OFFSET: the event, or a replay of it."""
    first_origin: Annotated[str, AfterValidator(_is_a_record)]
    """The event that failed at first, as TOPIC ID-PARTITION-OFFSET."""
    topic: str | None = None
    """Where it was replayed to."""
    partition: int | None = None
    state: Literal["applied", "not-applied", ""] = ""
    """Whether the record that failed had updated the state; empty where its letter does not say it."""
    attempt: Annotated[int, Field(ge=0)] = 0
    """How often the event had failed when it was replayed."""
    at: Annotated[float, Field(allow_inf_nan=False)]
    """Seconds since the epoch."""
    by: str = ""
    note: str = ""

    def as_value(self) -> bytes:
        """The value of its record."""
        return self.model_dump_json(exclude_none=True).encode()


class Resolutions:
    """What became of the letters of a dead-letter topic."""

    def __init__(self) -> None:
        self.by_letter: dict[RecordId, Resolution] = {}
        self._by_origin: dict[str, Resolution] = {}

    def add(self, letter: RecordId, resolution: Resolution) -> None:
        """Note one."""
        self.by_letter[letter] = resolution
        self._by_origin[resolution.origin] = resolution

    def of(self, letter: Letter) -> Resolution | None:
        """What became of a letter; None: it is open.

        Two letters of one record, which a crash may leave, are dealt with together.
        """
        return self.find(letter.id, letter.origin)

    def find(self, letter: RecordId, origin: RecordId) -> Resolution | None:
        """The same, by the names of the letter and of the record that failed."""
        return self.by_letter.get(letter) or self._by_origin.get(str(origin))


def resolutions_topic(settings: Settings, application: str) -> str:
    """The name of an application's topic of resolutions."""
    return settings.dead_letter_resolutions_topic or f"{application}.dead-letter-resolutions"


def read_resolutions(brokers: Brokers, topic: str) -> Resolutions:
    """Every resolution of a topic that exists, through its end; one that is open is waited for.

    What is no resolution is left out: who may write the topic may write anything there.
    """
    found = Resolutions()
    for message in topic_records(brokers, topic, decided=False):
        with suppress(ValueError):
            found.add(*resolution_of(message))
    return found


def resolution_of(message: Any) -> tuple[RecordId, Resolution]:
    """The letter and what became of it; raises `ValueError` for what is no resolution."""
    letter = record_id_of((message.key() or b"").decode())
    return letter, Resolution.model_validate_json(message.value() or b"")
