"""Which record a prediction or a dead letter came of, and whether it is what must come of it."""

from __future__ import annotations

from array import array
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from confluent_kafka import Message

from stream_app.audit.faults import Fault, Faults
from stream_app.audit.identities import bytes_digest, event_digest, omitted_digest
from stream_app.audit.ledger import Ledger
from stream_app.audit.letters import LetterAccount
from stream_app.audit.reading import headers_of, partition_id_of
from stream_app.audit.redacted_letters import FoundLetter, ValueClaim, WaitingLetters
from stream_app.features.usecase import Prediction
from stream_app.kafka.brokers import Topic
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.text.foreign import bounded
from stream_app.text.redaction import Redaction
from stream_app.wire.dead_letter import (
    DeadLetter,
    Omitted,
    is_cut,
    is_dead_letter,
    omitted,
    redacted_bytes,
)
from stream_app.wire.headers import Named, by_name
from stream_app.wire.prediction import PredictionHeaders, read_prediction
from stream_app.wire.replays import Replay, Replays

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


class _WrongError(Exception):
    """An output is not what its headers say that it is."""

    def __init__(self, fault: Fault, what: str) -> None:
        super().__init__(what)
        self.fault = fault


class Outputs:
    """Books predictions and dead letters in the ledgers of the records they came of."""

    def __init__(
        self,
        ledgers: Mapping[PartitionId, Ledger],
        topics: Iterable[Topic],
        predictions_topic: str,
        dead_letters_topic: str,
        group: str,
        *,
        contract: type[Prediction] = Prediction,
        replays: Replays | None = None,
        firsts: Mapping[PartitionId, int] | None = None,
        is_everything: bool = True,
        letters: LetterAccount | None = None,
    ) -> None:
        """`firsts`: where the audited ranges begin, if that is before the logs do.

        `is_everything`: whether predictions that name no record are of the range. `letters` takes in
        the dead letters of records that are audited.
        """
        self._ledgers = ledgers
        self._names = {topic.topic_id: topic.name for topic in topics}
        self._ids = {name: topic_id for topic_id, name in self._names.items()}
        self._predictions_topic = predictions_topic
        self._dead_letters_topic = dead_letters_topic
        self._group = group
        self._contract = contract
        self._replays = replays or Replays(group)
        self._firsts = firsts or {}
        self._is_everything = is_everything
        self._letters = letters
        self._entries: dict[tuple[Callable[[Ledger, list[int]], None], PartitionId], list[int]] = (
            defaultdict(list)
        )
        self.waiting = WaitingLetters()
        """Letters that are booked once their records were read again: see `settle`."""
        self.counts = OutputCounts()
        self.faults = Faults()
        self.beyond: dict[PartitionId, array[int]] = defaultdict(lambda: array("q"))
        """Offsets at or above the ends of the ranges of which there are outputs."""

    def take(self, messages: list[Message]) -> None:
        """Book a batch, and empty it: headers are kept by a message once it was asked for them."""
        messages.reverse()
        while messages:
            self._take(messages.pop())
        self._write()

    def _take(self, message: Message) -> None:
        is_letter = message.topic() == self._dead_letters_topic
        try:
            pairs = headers_of(message)
            headers = by_name(pairs)
            if self._predictions_topic == self._dead_letters_topic:
                is_letter = is_dead_letter(headers)
            if is_letter:
                self.counts.dead_letters += 1
                self._dead_letter(message, DeadLetter.of(headers), headers, pairs)
            else:
                self.counts.predictions += 1
                said = PredictionHeaders.of(headers)
                self._prediction(message, said, said.first_origin)
        except ValueError:
            self.counts.unreadable += 1
            if not is_letter and self._is_everything:
                # Whoever reads predictions needs their ids. Dead letters may share their topic.
                what = f"{_name(message)} has not the headers that say which record it is of"
                self._note(message, Fault.BROKEN_CONTRACT, what)

    def _prediction(self, message: Message, said: PredictionHeaders, origin: RecordId) -> None:
        consumed, offset = PartitionId(said.topic, said.partition), said.offset
        first = PartitionId(self._names.get(origin.topic_id, ""), origin.partition)
        is_replay = (consumed, offset) != (first, origin.offset)
        if self._is_of_other_origins(said, origin):
            self.counts.of_other_origins += 1
            return
        ledger = self._ledger(consumed, offset)
        if ledger is None and not self._is_in_scope(consumed, offset):
            self._note_out_of_range(message, consumed)
            return
        try:
            self._check_prediction(message, said, ledger, origin if is_replay else None)
        except _WrongError as wrong:
            what = f"{_name(message)}, the prediction of {consumed} {offset}: {wrong}"
            self._note(message, wrong.fault, what, ledger, offset)
            return
        if ledger is None:
            self.counts.out_of_range += 1
            return
        self._entries[Ledger.predictions, consumed].append(offset)
        if is_replay and self._ledger(first, origin.offset) is not None:
            self._entries[Ledger.replay_predictions, first].append(origin.offset)

    def _is_of_other_origins(self, said: PredictionHeaders, origin: RecordId) -> bool:
        """Whether a prediction was made of a record of a topic that is not there now."""
        if said.topic not in self._ids:
            return True
        if said.topic_id is not None:  # of a replay
            return said.topic_id != self._ids[said.topic]
        # An earlier topic of the same name: at the same place now is another record.
        of_itself = (origin.partition, origin.offset) == (said.partition, said.offset)
        return of_itself and origin.topic_id not in self._names

    def _check_prediction(
        self,
        message: Message,
        said: PredictionHeaders,
        ledger: Ledger | None,
        first_origin: RecordId | None,
    ) -> None:
        value, offset = message.value(), said.offset
        if not value:
            raise _WrongError(Fault.WITHOUT_VALUE, "it has no value")
        try:
            found = read_prediction(self._contract, value)
        except ValueError as error:
            raise _WrongError(Fault.BROKEN_CONTRACT, str(error)) from None
        if found.prediction_id != said.prediction_id:
            raise _WrongError(
                Fault.CONTRADICTORY, "the prediction_id of its value is not that of its header"
            )
        if (found.served_by == "champion") != (found.degraded is None):
            raise _WrongError(
                Fault.CONTRADICTORY, "degraded is said of the champion, or not of a fallback"
            )
        if ledger is None or not ledger.has_record(offset):
            return
        if ledger.is_replay(offset) != (first_origin is not None):
            raise _WrongError(
                Fault.CONTRADICTORY,
                "its record is a replay, and it has not the id of the first origin"
                if first_origin is None
                else f"its id is that of another record, {first_origin}, and its record is no replay",
            )
        record = ledger.identity(offset)
        if record is None:
            return
        if bytes_digest(_raw(message.key())) != record.key:
            raise _WrongError(Fault.OF_ANOTHER_RECORD, "its key is not that of its record")
        if record.event and record.event != event_digest(
            found.event_id, found.event_time, first_origin
        ):
            raise _WrongError(
                Fault.OF_ANOTHER_RECORD, "its event id or event time is not that of its record"
            )

    def _dead_letter(
        self, message: Message, said: DeadLetter, headers: Named, pairs: list[Any]
    ) -> None:
        name = self._names.get(said.topic_id)
        consumed, offset = PartitionId(name or "", said.partition), said.offset
        if name is None or said.group not in ("", self._group):
            self.counts.of_other_origins += 1
            return
        ledger = self._ledger(consumed, offset)
        if ledger is None and not self._is_in_scope(consumed, offset):
            self._note_out_of_range(message, consumed)
            return
        try:
            claim = self._check_dead_letter(message, said, headers, ledger, consumed)
        except _WrongError as wrong:
            self._note_letter(
                (partition_id_of(message), message.offset() or 0), wrong, ledger, consumed, offset
            )
            return
        if ledger is None:
            self.counts.out_of_range += 1
            return
        letter = FoundLetter(
            partition_id_of(message),
            message.offset() or 0,
            consumed,
            _origin(said),
            said.state != "not-applied",
            claim,
        )
        is_replay = ledger.is_replay(offset)
        if claim is not None or (is_replay and is_cut(headers)):
            self.waiting.add(letter)
            return
        key, value = _raw(message.key()), _raw(message.value())
        self._book(letter, self._replays(key, value, pairs) if is_replay else None)

    def settle(self, messages: list[Message]) -> None:
        """Book the letters that waited for these records, and empty the list."""
        while messages:
            message = messages.pop()
            letters = self.waiting.take(partition_id_of(message), message.offset() or 0)
            if letters:
                self._settle(message, letters)
        self._write()

    def settle_rest(self) -> None:
        """Book the letters that wait for records which are gone by now."""
        for letter in self.waiting.take_all():
            self._book(letter, None)
        self._write()

    def _settle(self, message: Message, letters: list[FoundLetter]) -> None:
        value = _raw(message.value())
        replay = None
        with suppress(ValueError):
            replay = self._replays(_raw(message.key()), value, headers_of(message))
        for letter in letters:
            ledger = self._ledgers[letter.consumed]
            what = letter.claim.differs(value) if letter.claim is not None else ""
            if what:
                wrong = _WrongError(Fault.OF_ANOTHER_RECORD, what)
                place = letter.partition, letter.offset
                self._note_letter(place, wrong, ledger, letter.consumed, letter.origin.offset)
            else:
                self._book(letter, replay if ledger.is_replay(letter.origin.offset) else None)

    def _book(self, letter: FoundLetter, replay: Replay | None) -> None:
        consumed, offset = letter.consumed, letter.origin.offset
        self._entries[Ledger.dead_letters, consumed].append(offset)
        if self._letters is not None:
            self._letters.letter(letter.partition.number, letter.offset, letter.origin)
        if not letter.is_applied:
            self._entries[Ledger.not_applied, consumed].append(offset)
        if replay is not None:
            first = PartitionId(self._names.get(replay.origin.topic_id, ""), replay.origin[1])
            if self._ledger(first, replay.origin.offset) is not None:
                self._entries[Ledger.replay_dead_letters, first].append(replay.origin.offset)

    def _write(self) -> None:
        for (book, partition_id), offsets in self._entries.items():
            book(self._ledgers[partition_id], offsets)
        self._entries.clear()

    def _note_letter(
        self,
        place: tuple[PartitionId, int],
        wrong: _WrongError,
        ledger: Ledger | None,
        consumed: PartitionId,
        offset: int,
    ) -> None:
        what = f"{place[0]} {place[1]}, the dead letter of {consumed} {offset}: {wrong}"
        self.faults.add(wrong.fault, place, what)
        if ledger is not None:
            ledger.fault(offset, wrong.fault)

    def _check_dead_letter(
        self,
        message: Message,
        said: DeadLetter,
        headers: Named,
        ledger: Ledger | None,
        consumed: PartitionId,
    ) -> ValueClaim | None:
        """Compare a letter with its record; what it says of a redacted value is still to be compared."""
        if said.topic not in ("", consumed.topic):
            raise _WrongError(
                Fault.CONTRADICTORY,
                f"it names the topic {bounded(said.topic)} beside that topic's id",
            )
        record = ledger.identity(said.offset) if ledger is not None else None
        claim = None
        for part, raw in (("key", _raw(message.key())), ("value", _raw(message.value()))):
            left_out = _omitted(headers, part)
            if left_out is not None and raw is not None:
                what = f"it has a {part} and says that it left it out"
                raise _WrongError(Fault.CONTRADICTORY, what)
            if part == "value" and said.redacted:
                claim = _claim(said, headers, raw, left_out)
                continue
            if left_out is None:
                found = bytes_digest(raw)
            else:
                assert left_out.sha256 is not None  # of a redacted value alone
                found = omitted_digest(left_out.length, left_out.sha256)
            if record is None or found == getattr(record, part):
                continue
            if raw is None and left_out is None:
                raise _WrongError(
                    Fault.WITHOUT_VALUE, f"it has no {part}, its record has, and it does not say so"
                )
            raise _WrongError(Fault.OF_ANOTHER_RECORD, f"its {part} is not that of its record")
        return claim if record is not None else None

    def _ledger(self, partition_id: PartitionId, offset: int) -> Ledger | None:
        ledger = self._ledgers.get(partition_id)
        return ledger if ledger is not None and offset in ledger else None

    def _is_in_scope(self, partition_id: PartitionId, offset: int) -> bool:
        """Whether an offset that is in no ledger is of an audited record that is gone."""
        ledger = self._ledgers.get(partition_id)
        if ledger is None:
            return False
        if offset >= ledger.end:
            self.beyond[partition_id].append(min(offset, 2**63 - 1))
        return self._firsts.get(partition_id, ledger.first) <= offset < ledger.first

    def _note_out_of_range(self, message: Message, partition_id: PartitionId) -> None:
        self.counts.out_of_range += 1
        if self._is_everything and partition_id not in self._ledgers:
            what = f"{_name(message)} is of {partition_id}, a partition that does not exist"
            self._note(message, Fault.CONTRADICTORY, what)

    def _note(
        self,
        message: Message,
        fault: Fault,
        what: str,
        ledger: Ledger | None = None,
        offset: int = -1,
    ) -> None:
        self.faults.add(fault, (partition_id_of(message), message.offset() or 0), what)
        if ledger is not None:
            ledger.fault(offset, fault)


def _omitted(headers: Named, part: str) -> Omitted | None:
    try:
        return omitted(headers, part)
    except ValueError:
        raise _WrongError(
            Fault.CONTRADICTORY, f"it left its {part} out, and does not say of which bytes"
        ) from None


def _claim(
    said: DeadLetter, headers: Named, value: bytes | None, left_out: Omitted | None
) -> ValueClaim:
    if left_out is not None:
        return ValueClaim(said.redacted, left_out.length, None)
    if value is None:
        raise _WrongError(
            Fault.WITHOUT_VALUE, "it has no value, its record has, and it does not say so"
        )
    try:
        length = redacted_bytes(headers)
        Redaction(said.redacted)
    except ValueError:
        length = None
    if length is None:
        raise _WrongError(
            Fault.CONTRADICTORY,
            "its value was redacted, and it does not say which fields and bytes",
        )
    return ValueClaim(said.redacted, length, bytes_digest(value))


def _origin(said: DeadLetter) -> RecordId:
    return RecordId(said.topic_id, said.partition, said.offset)


def _raw(data: str | bytes | None) -> bytes | None:
    return data.encode() if isinstance(data, str) else data


def _name(message: Message) -> str:
    return f"{partition_id_of(message)} {message.offset()}"
