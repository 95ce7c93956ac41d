"""The feature library as a team would use it that writes the rest by hand.

Decoding, states, features, model and answer are this project's own, so that a contender that stands on
this differs from the worker by what is around it alone. It has no alignment, no metrics, no marks (so it
does not notice what Redis has lost), no fallback, and tries nothing again: an error ends the process.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

from confluent_kafka import TopicCollection
from confluent_kafka.admin import AdminClient
from msgspec import json
from redis import Redis

from benchmarks.contest.surroundings import Surroundings
from features.flights import usecase
from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.compiled_plans import compiled_staging
from stream_app.features.engine.engine import FeatureEngine, Tables
from stream_app.features.engine.order import rank
from stream_app.features.events import Event, InvalidEventError
from stream_app.features.events.message import LogRecord
from stream_app.features.stores import Source, StateWrite
from stream_app.features.stores.codec import StateCodec, unique_versions
from stream_app.features.stores.redis import RedisStore
from stream_app.models import load_model
from stream_app.models.answer_function import AnswerFunction
from stream_app.text.moments import rfc3339

Headers = list[tuple[str, str | bytes | None]]

__all__ = ["Consumed", "Done", "FeatureWork", "Outgoing"]

_JSON: Final = ("content-type", b"application/json")
_FEW_FENCES: Final = 16


class Consumed(NamedTuple):
    """A record, whichever client it came from."""

    topic: str
    partition: int
    offset: int
    key: bytes | None
    value: bytes | None


class Outgoing(NamedTuple):
    """A prediction or a dead letter."""

    topic: str
    key: bytes | None
    value: bytes | None
    headers: Headers


class Done(NamedTuple):
    """What came of a batch; its states are still to be written, by `FeatureWork.write`."""

    number: int
    records: int
    outgoing: list[Outgoing]
    writes: list[StateWrite]
    ends: dict[tuple[str, int], int]
    """The last offset of each partition."""


class FeatureWork:
    """From records to predictions, dead letters and new states.

    `compute` and `write` may be called by two threads, in the order of the batches: a batch takes the
    states that an unfinished one has updated from memory, and all others from Redis.
    """

    def __init__(self, surroundings: Surroundings) -> None:
        features = usecase.features
        self.predictions, self.dead_letters = usecase.predictions_topic, usecase.dead_letters_topic
        self.topics = [topic.name for topic in usecase.topics]
        self._decoders = {topic.name: topic.decoder for topic in usecase.topics}
        self._low, self._high = usecase.times.range_at(0.0)
        self._store = RedisStore(Redis.from_url(surroundings.redis), features, surroundings.group)
        self._engine = FeatureEngine(features)
        self._codecs = [StateCodec(view) for view in features.views]
        self._tables: Tables = self._engine.tables()
        self._staged = compiled_staging()
        self._new_version = unique_versions()
        self._written: deque[Done] = deque()
        self._number = 0
        artifacts = Path(surroundings.artifacts)
        self._model = load_model(artifacts / usecase.champion, features, usecase.topics)
        self._answer = AnswerFunction(usecase)
        self._named = {"name": self._model.name, "version": self._model.version}
        self._register(surroundings.bootstrap, [(t.name, t.partitions) for t in usecase.topics])

    def _register(self, bootstrap: str, topics: Sequence[tuple[str, int]]) -> None:
        admin = AdminClient({"bootstrap.servers": bootstrap})
        described = admin.describe_topics(TopicCollection(self.topics))
        self._topic_ids = {name: str(each.result().topic_id) for name, each in described.items()}
        places = [(name, number) for name, count in topics for number in range(count)]
        sources = [Source("contest", self._topic_ids[name], number) for name, number in places]
        ids = self._store.register(sources)
        self._places = {
            (name, number): (source, rank(self.topics.index(name), number))
            for (name, number), source in zip(places, ids, strict=True)
        }

    def compute(self, records: Iterable[Consumed]) -> Done:
        """Decode, read states, apply, score and encode one batch."""
        self._forget_written()
        self._number += 1
        ends: dict[tuple[str, int], int] = {}
        outgoing: list[Outgoing] = []
        accepted: list[tuple[Arrival, Consumed]] = []
        count = 0
        for record in records:
            count += 1
            topic, partition, offset, key, value = record
            place = topic, partition
            ends[place] = offset
            try:
                event: Any = self._decoders[topic](LogRecord(value, key, (), None, topic))
                self._check_time(event)
            except Exception as error:  # noqa: BLE001 - one bad record is one dead letter
                outgoing.append(self._dead_letter(record, error))
                continue
            accepted.append((Arrival(event, *self._places[place], offset), record))
        arrivals = [arrival for arrival, _ in accepted]
        wanted = self._engine.gather(arrivals)
        self._read(wanted)
        self._engine.advance(arrivals, self._tables, self._number)
        writes = self._stage(wanted)
        outgoing += self._predictions([pair for pair in accepted if pair[0].row is not None])
        return Done(self._number, count, outgoing, writes, ends)

    def _check_time(self, event: Event) -> None:
        if not self._low <= event.event_time <= self._high:
            raise InvalidEventError("out-of-range", "the time is not believed")

    def write(self, done: Done) -> None:
        """Write the states of a batch by compare-and-set; another writer ends the process."""
        if self._store.write(done.writes, []):
            raise RuntimeError("another process has written these states")
        self._written.append(done)

    def _forget_written(self) -> None:
        while self._written:
            done = self._written.popleft()
            for write in done.writes:
                table = self._tables[write.view]
                state = table.get(write.entity)
                if state is not None and state.batch == done.number:
                    del table[write.entity]

    def _read(self, wanted: Sequence[set[str]]) -> None:
        missing = [keys.difference(table) for keys, table in zip(wanted, self._tables, strict=True)]
        if not any(missing):
            return
        found = self._store.read(missing)
        for table, codec, pairs in zip(self._tables, self._codecs, found, strict=True):
            states = codec.unpack([packed for _, packed in pairs])
            for (entity, _), state in zip(pairs, states, strict=True):
                table[entity] = state

    def _stage(self, wanted: Sequence[set[str]]) -> list[StateWrite]:
        writes: list[StateWrite] = []
        for view, (keys, table) in enumerate(zip(wanted, self._tables, strict=True)):
            pack = self._codecs[view].pack
            if self._staged is not None:
                writes += self._staged(
                    view, keys, table, self._number, _FEW_FENCES, lambda _: None,
                    self._new_version, lambda _, state, pack=pack: pack(state), StateWrite,
                )  # fmt: skip
                continue
            for entity in keys:
                state = table.get(entity)
                if state is None:
                    continue
                if state.batch == self._number:
                    expected, state.version = state.version, self._new_version()
                    writes.append(StateWrite(view, entity, expected, pack(state)))
                elif state.batch < 0:
                    del table[entity]
        return writes

    def _predictions(self, asked: Sequence[tuple[Arrival, Consumed]]) -> list[Outgoing]:
        if not asked:
            return []
        rows: list[Any] = [arrival.row for arrival, _ in asked]
        outputs = self._model.score(rows)
        events = [arrival.event for arrival, _ in asked]
        answers = self._answer(events, rows, outputs, self._model.manifest.decision)
        made = []
        for (arrival, record), answer in zip(asked, answers, strict=True):
            if not isinstance(answer, dict):
                raise answer
            event = arrival.event
            named = f"{self._topic_ids[record.topic]}-{record.partition}-{record.offset}"
            value = {
                "prediction_id": named,
                "event_id": event.event_id,
                "event_time": rfc3339(event.event_time),
                **answer,
                "model": self._named,
                "served_by": "champion",
                "degraded": None,
                "state_freshness_seconds": event.event_time - arrival.newest
                if arrival.newest > -math.inf
                else None,
            }
            headers: Headers = [
                ("prediction-id", named.encode()),
                ("source-topic", record.topic.encode()),
                ("source-partition", b"%d" % record.partition),
                ("source-offset", b"%d" % record.offset),
                _JSON,
            ]
            made.append(Outgoing(self.predictions, record.key, json.encode(value), headers))
        return made

    def _dead_letter(self, record: Consumed, error: Exception) -> Outgoing:
        headers: Headers = [
            ("reason", str(error).encode()[:500]),
            ("source-topic", record.topic.encode()),
            ("source-partition", b"%d" % record.partition),
            ("source-offset", b"%d" % record.offset),
        ]
        return Outgoing(self.dead_letters, record.key, record.value, headers)
