"""The account of records: each ends as one prediction, one update of the state or one dead letter."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

from pydantic import SecretStr

from stream_app.config.settings import Settings
from stream_app.features.events import LogRecord
from stream_app.features.stores import MemoryStore, Source
from stream_app.features.stores.codec import StateCodec
from stream_app.features.usecase import UseCase
from stream_app.models import Model
from stream_app.observer.observer import Observer
from stream_app.predictor.assembly import make_predictor
from stream_app.records.batch import Batch, Outgoing
from stream_app.records.partition import Partition
from stream_app.records.places import PartitionId
from stream_app.records.record import Record
from stream_app.waiting.retry import Retry
from stream_app.wire.assembly import make_emitters
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name
from stream_app.wire.outgoing import OutgoingRecords
from stream_app.wire.reasons import REASONS

__all__ = ["Account"]


class Account:
    """Takes records of `tests.usecases.regression` through predictor, outgoing records and state.

    What became of each is read from what went out and from the store. Raises `AssertionError` where a
    record has no end or more than one, and whatever ends a worker.
    """

    def __init__(self, usecase: UseCase, models: Sequence[Model]) -> None:
        observer = Observer()
        # With a secret, so that the headers of replays are looked at.
        settings = Settings(replay_secret=SecretStr("fuzz-the-headers-of-replays"))
        self._usecase = usecase
        self._store = MemoryStore(usecase.features)
        self._predictor = make_predictor(
            settings,
            usecase,
            models,
            self._store,
            Retry(initial_seconds=0.1, max_seconds=1.0, observer=observer),
            observer,
        )
        self._outgoing = OutgoingRecords(make_emitters(settings, usecase, "champion/1").in_order)
        names = [topic.name for topic in usecase.topics]
        self._partitions = {
            name: Partition.among(names, PartitionId(name, 0), Source("fuzz", name, 0))
            for name in names
        }
        self._predictor.state.register(dict.fromkeys(self._partitions.values(), 0))
        self._ends = Counter[str]()
        self._meters: set[str] = set()
        self._applied = Counter[str]()
        self.outcomes = Counter[str]()
        """How many records became a prediction, an update, or a dead letter of which reason."""

    def __call__(self, given: Sequence[LogRecord]) -> None:
        """Take some records, and see what went out for each."""
        records = [self._next(record) for record in given]
        batch = self._predictor(records)
        self._outgoing(batch)
        self._predictor.state.write(batch)
        self._see(batch, records)

    def _next(self, given: LogRecord) -> Record:
        offset = self._ends[given.topic]
        self._ends[given.topic] += 1
        partition = self._partitions[given.topic]
        return Record(partition, offset, given.timestamp, given.key, given.value, given.headers)

    def _see(self, batch: Batch, records: Sequence[Record]) -> None:
        out: dict[int, list[Outgoing]] = {}
        for each in batch.outgoing:
            out.setdefault(id(each.item), []).append(each)
        assert [item.record for item in batch.items] == records
        for item in batch.items:
            ends = out.pop(id(item), [])
            if isinstance(meter := getattr(item.event, "meter", None), str):
                self._meters.add(meter)
            assert len(ends) <= 1, ends
            if not ends:
                # Readings alone ask for no prediction; the store is looked at in `close`.
                assert item.record.topic == self._usecase.topics[0].name, item.record.value
                outcome, applied = "update", True
            elif ends[0].topic == self._usecase.predictions_topic:
                self._see_prediction(ends[0], item.record)
                outcome, applied = "prediction", True
            else:
                letter = self._see_letter(ends[0], item.record)
                outcome, applied = letter.reason, letter.state == "applied"
            self.outcomes[outcome] += 1
            self._applied[item.record.topic] += applied
        assert not out

    def _see_prediction(self, prediction: Outgoing, record: Record) -> None:
        assert record.topic == self._usecase.topics[1].name
        fields = json.loads(prediction.value or b"", parse_constant=_refuse)
        assert fields["prediction_id"].endswith(f"{record.partition.number}-{record.offset}")
        self._usecase.prediction.model_validate_json(prediction.value or b"")

    def _see_letter(self, letter: Outgoing, record: Record) -> DeadLetter:
        assert letter.topic == self._usecase.dead_letters_topic
        assert (letter.key, letter.value) == (record.key, record.value)
        said = DeadLetter.of(by_name(letter.headers))
        assert (said.topic, said.offset) == (record.topic, record.offset)
        reason = REASONS[said.reason]
        assert said.stage in reason.stages
        # The use case makes no mistake, so the record is to blame.
        assert said.disposition == reason.disposition == "poison", said
        for text in said:
            str(text).encode()
            assert str(text).isprintable(), said
        return said

    def close(self) -> None:
        """Compare what went out with the store: each record that was taken is in the state once."""
        views = self._usecase.features.views
        for name, topic in (("meter_load", 0), ("meter_asked", 1)):
            number = [view.name for view in views].index(name)
            wanted: list[set[str]] = [set() for _ in views]
            wanted[number] = self._meters
            found = self._store.read(wanted)[number]
            states = StateCodec(views[number]).unpack([packed for _, packed in found])
            assert sum(s.count for s in states) == self._applied[self._usecase.topics[topic].name]
        assert self.outcomes.total() == self._ends.total()


def _refuse(constant: str) -> Any:
    raise AssertionError(f"{constant} is no JSON")
