"""A use case on topics of its own, and what must come of the records in them.

What must come of them is worked out from the topics alone, by the offline execution: it knows
nothing of workers, batches and crashes.
"""

import json
import math
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from confluent_kafka import Producer

from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import EntityState, FeatureEngine
from stream_app.features.engine.order import OrderKey, PartitionOrder, rank
from stream_app.features.engine.replay import LoggedEvent, Replay
from stream_app.features.events import Event, InvalidEventError, LogRecord
from stream_app.features.stores import Source
from stream_app.features.stores.codec import StateCodec
from stream_app.features.stores.redis import RedisStore, client_of, default_buckets
from stream_app.features.usecase import UseCase
from stream_app.models import load_model
from stream_app.models.answer_function import AnswerFunction
from tests.integration.worker import Cluster, Out, Sent, Worker, by_source, headers_of
from tests.usecases import regression, text

__all__ = ["Account", "Expected", "Place", "Testbed"]

#: Topic, partition and offset of a record.
Place = tuple[str, int, int]

#: (view, entity) to updates applied, digest of which, newest event time and the state itself.
Account = dict[tuple[str, str], tuple[int, int, float, list[Any]]]


@dataclass(frozen=True)
class Expected:
    """What must be predicted for one record."""

    event: Event
    fields: dict[str, Any]
    freshness: float | None


class Testbed:
    """A use case whose topics exist and whose model version is written."""

    __test__ = False
    """For pytest: no class of tests, whatever its name begins with."""

    def __init__(
        self,
        module: Any,
        folder: Path,
        cluster: Cluster,
        redis_url: str,
        settings: dict[str, object] | None = None,
    ) -> None:
        """`module`: one of `tests.usecases`."""
        self.suffix = uuid.uuid4().hex[:8]
        self.module = module
        self.usecase: UseCase = module.make_usecase(self.suffix)
        self.cluster = cluster
        self.redis_url = redis_url
        self._artifacts = folder / "artifacts"
        self.settings: dict[str, object] = {
            "bootstrap_servers": cluster.bootstrap,
            "redis_url": redis_url,
            "artifacts": self._artifacts,
            # Sums are compared to the last bit: a busy machine must not end the wait for a neighbour.
            "alignment_wait_seconds": 25,
            **(settings or {}),
        }
        module.train(self._artifacts, self.usecase)
        cluster.create(self.usecase)

    @property
    def spec(self) -> str:
        """The use case as MODULE:OBJECT."""
        return f"{self.module.__name__}:usecase"

    @property
    def topics(self) -> list[str]:
        """Topics of events."""
        return [topic.name for topic in self.usecase.topics]

    def worker(
        self, *, command: Sequence[str] = ("-m", "stream_app", "run"), **settings: object
    ) -> Worker:
        """A worker of it, or another command, not started."""
        worker = Worker(self.spec, {**self.settings, **settings}, command=command)
        return worker.environment(TEST_TOPIC_SUFFIX=self.suffix)

    # What is sent.

    def meters(self, count: int, *, start: float | None = None, seed: int = 7) -> list[Sent]:
        """Readings and requests, half a second apart until about now.

        On whole tenths of a second: `tests.usecases.mistaken` knows some of its mistakes by the moment.
        """
        begin = round(time.time(), 1) - count * 0.5 if start is None else start
        made = regression.events(count, begin, step=0.5, seed=seed)
        return [
            Sent(
                regression.topic_of(event, self.usecase),
                _dumps(event),
                event["meter"].encode(),
                timestamp=begin + number * 0.5,
                headers=headers_of(number),
            )
            for number, event in enumerate(made)
        ]

    def tickets(self, count: int) -> list[Sent]:
        """Messages, half a second apart until about now."""
        begin = time.time() - count * 0.5
        return [
            Sent(
                self.topics[0],
                _dumps(
                    {
                        "event_id": f"t{number}",
                        "event_time": regression.iso(begin + number * 0.5),
                        "text": words.capitalize(),
                    }
                ),
                f"customer-{number % 50}".encode(),
                timestamp=begin + number * 0.5,
                headers=headers_of(number),
            )
            for number, (words, _) in enumerate(text.messages(count, seed=8))
        ]

    # What must come of it.

    def log(self, records: Iterable[Out] | None = None) -> Iterator[tuple[Out, int, Event]]:
        """Valid events of the topics with their ranks, in the order they take effect.

        `records`: what was read of the topics, if it was.
        """
        merged: list[tuple[OrderKey, Out, Event]] = []
        orders: dict[int, PartitionOrder] = {}
        for out in self.cluster.read(*self.topics) if records is None else records:
            place = self.topics.index(out.topic)
            where = rank(place, out.partition)
            order = orders.setdefault(where, PartitionOrder(where))
            try:
                event = self.usecase.topics[place].decoder(LogRecord(out.value))
                low, high = self.usecase.times.range_at(out.timestamp)
                valid = low <= event.event_time <= high
            except InvalidEventError:
                valid = False
            if not valid:
                order.key(out.timestamp, -math.inf, out.offset)
                continue
            merged.append((order.key(out.timestamp, event.event_time, out.offset), out, event))
        for key, out, event in sorted(merged, key=lambda each: each[0]):
            yield out, key[2], event

    def expected(self) -> dict[Place, Expected]:
        """What the offline execution predicts for each record that asks, one backlog long."""
        log = list(self.log())
        features = self.usecase.features
        rows = list(
            Replay(features)(LoggedEvent(event, where, out.offset) for out, where, event in log)
        )
        asking = [(out, event) for out, _, event in log if isinstance(event, features.triggers)]
        model = load_model(self._artifacts / self.usecase.champion, features, self.usecase.topics)
        values = [row.values for row in rows]
        made = AnswerFunction(self.usecase)(
            [event for _, event in asking], values, model.score(values), model.manifest.decision
        )
        answers = [answer for answer in made if isinstance(answer, dict)]
        return {
            (out.topic, out.partition, out.offset): Expected(event, own, row.freshness_seconds)
            for (out, event), row, own in zip(asking, rows, answers, strict=True)
        }

    def expected_account(
        self,
        log: Sequence[tuple[Out, int, Event]] | None = None,
        ids: Mapping[tuple[str, int], int] | None = None,
    ) -> Account:
        """The states after every valid event was applied once, offline.

        `ids`: the numbers that the store knows partitions by, where they are not today's topics'.
        """
        log = list(self.log()) if log is None else log
        ids = self.source_ids() if ids is None else ids
        engine = FeatureEngine(self.usecase.features)
        arrivals = [
            Arrival(event, ids[out.topic, out.partition], where, out.offset)
            for out, where, event in log
        ]
        engine.gather(arrivals)
        tables = engine.tables()
        engine.advance(arrivals, tables)
        return {
            (view.name, entity): (
                state.count, state.digest % 2**64, state.newest, list(state.values)
            )
            for view, table in zip(self.usecase.features.views, tables, strict=True)
            for entity, state in table.items()
        }  # fmt: skip

    def account(self, expected: Account | None = None) -> Account:
        """The states in Redis, of every entity that the events name."""
        named = self.expected_account() if expected is None else expected
        return {
            key: (state.count, state.digest, state.newest, state.values)
            for key, state in self.states(named).items()
        }

    def states(self, keys: Iterable[tuple[str, str]]) -> dict[tuple[str, str], EntityState]:
        """The states in Redis of these views and entities, where there are any."""
        views = self.usecase.features.views
        wanted: list[set[str]] = [set() for _ in views]
        for view, entity in keys:
            wanted[[v.name for v in views].index(view)].add(entity)
        with self.store() as store:
            stored = store.read(wanted)
        return {
            (view.name, entity): state
            for view, pairs in zip(views, stored, strict=True)
            for (entity, _), state in zip(
                pairs, StateCodec(view).unpack([packed for _, packed in pairs]), strict=True
            )
        }

    @contextmanager
    def store(self) -> Iterator[RedisStore]:
        """The states in Redis."""
        url = self.redis_url
        store = RedisStore(
            client_of(url), self.usecase.features, self.usecase.name, buckets=default_buckets(url)
        )
        yield store
        store.close()

    def source_ids(self) -> dict[tuple[str, int], int]:
        """The numbers that the store knows the partitions of the topics by."""
        cluster_id, topic_ids = self.cluster.topic_ids(*self.topics)
        places = list(self.cluster.ends(*self.topics))
        sources = [Source(cluster_id, topic_ids[topic], number) for topic, number in places]
        with self.store() as store:
            return dict(zip(places, store.register(sources), strict=True))

    # What came of it.

    def predictions(self) -> list[Out]:
        """All predictions."""
        return self.cluster.read(self.usecase.predictions_topic)

    def dead_letters(self) -> list[Out]:
        """All dead letters."""
        return self.cluster.read(self.usecase.dead_letters_topic)

    def transaction(self, sent: Iterable[Sent], *, commit: bool = True) -> None:
        """Produce in a transaction."""
        config = {"bootstrap.servers": self.cluster.bootstrap, "transactional.id": uuid.uuid4().hex}
        producer = Producer(config)
        producer.init_transactions(30)
        producer.begin_transaction()
        for each in sent:
            producer.produce(
                each.topic, each.value, each.key, each.partition or 0, headers=each.headers
            )
        producer.flush(30)
        producer.commit_transaction(30) if commit else producer.abort_transaction(30)

    def drained(self) -> bool:
        """Whether all offsets are committed."""
        return self.cluster.drained(self.usecase)

    def check_nothing_lost(self, *, once: bool = False) -> list[Out]:
        """Each record that asks is predicted, and what is predicted twice is the same twice.

        The same prediction id, and the same bytes but for copies that say they were made from a
        state ahead of their record. `once`: there are no doubles. Returns the predictions.
        """
        predictions = self.predictions()
        assert self.dead_letters() == []
        grouped = by_source(predictions)
        asked = {
            (out.topic, out.partition, out.offset)
            for out, _, event in self.log()
            if isinstance(event, self.usecase.features.triggers)
        }
        lost = asked - grouped.keys()
        assert not lost, f"{len(lost)} of {len(asked)} are lost: {sorted(lost)[:5]}"
        assert grouped.keys() == asked
        for place, copies in grouped.items():
            assert len({copy.header("prediction-id") for copy in copies}) == 1, place
            plain = [copy for copy in copies if copy.header("state-ahead") is None]
            assert len({copy.value for copy in plain}) <= 1, (place, [c.value for c in copies])
            if once:
                assert len(copies) == 1, place
        return predictions

    def check_each_counted_once(self, *, bits: bool = True) -> None:
        """The states in Redis hold each event once; `bits`: in the merge's order, too."""
        expected = self.expected_account()
        found = self.account(expected)
        assert found.keys() == expected.keys()
        for key, (count, digest, newest, values) in expected.items():
            assert found[key][:3] == (count, digest, newest), key
            if bits:
                assert _same(found[key][3], values), (key, found[key][3], values)
            else:
                assert _close(found[key][3], values), (key, found[key][3], values)


def _same(left: list[Any], right: list[Any]) -> bool:
    return list(map(repr, left)) == list(map(repr, right))  # NaN is NaN, -0.0 is not 0.0


def _close(left: list[Any], right: list[Any]) -> bool:
    return all(
        (math.isnan(a) and math.isnan(b)) or math.isclose(a, b, rel_tol=1e-9, abs_tol=1e-12)
        for a, b in zip(left, right, strict=True)
    )


def _dumps(value: Any) -> bytes:
    return json.dumps(value).encode()
