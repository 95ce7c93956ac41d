"""Which record a prediction or a dead letter came of, by its headers."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from confluent_kafka import Message

from stream_app.audit.brokers import Topic
from stream_app.audit.ledger import Ledger
from stream_app.audit.places import Place
from stream_app.dead_letters import PREFIX
from stream_app.origins import Headers, origin_of, replayed_origin, text

__all__ = ["OutputCounts", "Outputs"]


@dataclass
class OutputCounts:
    """How many records of the topics out were read, and which could not be booked."""

    predictions: int = 0
    dead_letters: int = 0
    of_other_origins: int = 0
    """Of topics that are no event topic now, of which an earlier one of the same name is one, or
    dead letters of another group."""
    out_of_range: int = 0
    """Of records that are not audited: outside the range, or gone."""
    unreadable: int = 0
    """Without the headers that say where they came from."""


class Outputs:
    """Books predictions and dead letters in the ledgers of the records they came of."""

    def __init__(
        self,
        ledgers: Mapping[Place, Ledger],
        topics: Iterable[Topic],
        predictions_topic: str,
        dead_letters_topic: str,
        group: str,
    ) -> None:
        self._ledgers = ledgers
        self._names = {topic.topic_id: topic.name for topic in topics}
        self._predictions_topic = predictions_topic
        self._dead_letters_topic = dead_letters_topic
        self._group = group
        self._entries: dict[tuple[Callable[[Ledger, list[int]], None], Place], list[int]] = (
            defaultdict(list)
        )
        self.counts = OutputCounts()

    def take(self, messages: Iterable[Message]) -> None:
        """Book a batch."""
        for message in messages:
            headers = dict(message.headers() or ())
            try:
                if self._is_dead_letter(message, headers):
                    self.counts.dead_letters += 1
                    self._dead_letter(headers)
                else:
                    self.counts.predictions += 1
                    self._prediction(headers)
            except (KeyError, ValueError):
                self.counts.unreadable += 1
        for (book, place), offsets in self._entries.items():
            book(self._ledgers[place], offsets)
        self._entries.clear()

    def _is_dead_letter(self, message: Message, headers: Headers) -> bool:
        if self._predictions_topic == self._dead_letters_topic:
            return f"{PREFIX}offset" in headers
        return message.topic() == self._dead_letters_topic

    def _prediction(self, headers: Headers) -> None:
        origin = origin_of(text(headers, "prediction-id"))
        consumed = Place(text(headers, "source-topic"), int(text(headers, "source-partition")))
        offset = int(text(headers, "source-offset"))
        name = self._names.get(origin.topic_id)
        first = Place(name or "", origin.partition)
        if (consumed, offset) == (first, origin.offset):
            if not self._book(Ledger.predictions, consumed, offset):
                self.counts.out_of_range += 1
            return
        # A replay: it is that record's outcome, and its first origin's.
        booked = self._replayed(consumed, offset) and self._book(
            Ledger.predictions, consumed, offset
        )
        booked |= self._book(Ledger.replay_predictions, first, origin.offset)
        self._note_unbooked(booked, known=name is not None)

    def _dead_letter(self, headers: Headers) -> None:
        name = self._names.get(text(headers, f"{PREFIX}topic-id"))
        consumed = Place(name or "", int(text(headers, f"{PREFIX}partition")))
        offset = int(text(headers, f"{PREFIX}offset"))
        if name is None or headers.get(f"{PREFIX}group") not in (None, self._group.encode()):
            self.counts.of_other_origins += 1
            return
        booked = self._book(Ledger.dead_letters, consumed, offset)
        if headers.get(f"{PREFIX}state") == b"not-applied":
            self._book(Ledger.not_applied, consumed, offset)
        if (origin := replayed_origin(headers)) is not None:
            first = Place(self._names.get(origin.topic_id, ""), origin.partition)
            booked |= self._book(Ledger.replay_dead_letters, first, origin.offset)
        self._note_unbooked(booked, known=True)

    def _replayed(self, place: Place, offset: int) -> bool:
        # The header names the topic only: at the same offset of a topic of the same name before
        # this one was another record, so the record here must be a replay.
        ledger = self._ledgers.get(place)
        return ledger is not None and offset in ledger and ledger.is_replay(offset)

    def _book(self, book: Callable[[Ledger, list[int]], None], place: Place, offset: int) -> bool:
        ledger = self._ledgers.get(place)
        if ledger is None or offset not in ledger:
            return False
        self._entries[book, place].append(offset)
        return True

    def _note_unbooked(self, booked: bool, *, known: bool) -> None:
        if not booked and known:
            self.counts.out_of_range += 1
        elif not booked:
            self.counts.of_other_origins += 1
