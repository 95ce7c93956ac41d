"""The demonstration from its start to its summary."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import numpy as np

from demo.accuracy import auc
from demo.display import Display
from demo.errors import DemoError
from demo.fates import Fates, account
from demo.observation import Observation
from demo.offline import Offline, decoded, in_order, outcomes
from demo.plan import plan, speed_for
from demo.producer import FlightProducer
from demo.summary import Accuracy, Summary
from demo.topics import Offsets, Reader
from demo.view import Live
from demo.warm_up import WarmUp
from demo.worker import Worker
from stream_app.config.usecase import load_usecase
from stream_app.features.events import Event
from stream_app.local import LocalServices, create_topics
from stream_app.records.places import PartitionId, Place

__all__ = ["Demonstration", "Options"]

_USECASE: Final = "features.flights:usecase"
_GROUP: Final = "flights-demo"
_GRACE_SECONDS: Final = 0.05
"""How long a record waits for earlier ones of other partitions: minutes on the accelerated clock."""
_READY_SECONDS: Final = 90.0
_WARM_SECONDS: Final = 6.0
"""How long a ready worker may wait for the broker to become fast."""
_TURN_SECONDS: Final = 0.1
_STALLED_SECONDS: Final = 60.0
"""How long the worker may finish nothing while something is left."""
_LOOK_SECONDS: Final = 0.25
_OFFSETS_SECONDS: Final = 0.5
_LARGEST_RECORD_BYTES: Final = 4 * 2**20


@dataclass(frozen=True)
class Options:
    """What was asked for."""

    events: int
    speed: float | None
    malformed: float
    backlog: bool
    keep: bool


class Demonstration:
    """One run. `services` are started, and ended by whoever made them."""

    def __init__(
        self, options: Options, services: LocalServices, display: Display, begun: float
    ) -> None:
        """`begun`: what `time.monotonic()` said at the start of it all."""
        self._options = options
        self._services = services
        self._display = display
        self._begun = begun
        self.usecase = load_usecase(_USECASE)
        self._inputs = [
            PartitionId(topic.name, number)
            for topic in self.usecase.topics
            for number in range(topic.partitions)
        ]
        self._outputs = [
            PartitionId(topic, number)
            for topic in (self.usecase.predictions_topic, self.usecase.dead_letters_topic)
            for number in range(self.usecase.output_partitions)
        ]
        self._offsets = Offsets(services.kafka, _GROUP)
        self.worker = Worker(
            _USECASE,
            application=_GROUP,
            bootstrap_servers=services.kafka,
            redis_url=services.redis,
            alignment_grace_seconds=str(_GRACE_SECONDS),
        )

    def run(self) -> Summary:
        """Produce, watch, wait until everything is finished, and account for it."""
        options, display = self._options, self._display
        self._create_topics()
        if not options.backlog:
            self._start_worker()
        planned = plan(options.events, options.malformed)
        if len(planned) == 0:
            raise DemoError("There are no events to show.")
        champion = Offline(self.usecase, self.usecase.champion)
        static = Offline(self.usecase, self.usecase.fallbacks[0])
        speed = options.speed
        if speed is None and not options.backlog:
            speed = speed_for(planned)
        producer = FlightProducer(self._services.kafka, planned, speed)
        try:
            if options.backlog:
                self._produce_all(producer)
                self._start_worker()
            self._wait_until_ready()
            display.say("The worker's status page, in a browser, while it runs:")
            display.show_command(f"  http://{self.worker.address}/")
            display.say(
                f"{len(planned):,} records from 1 December 2013 on"
                + (f", up to {speed:,.0f} times as fast as they happened. " if speed else ". ")
                + "The state starts empty: the first predictions know only the timetable."
            )
            if not options.backlog:
                producer.start()
            finished = self._watch(producer, Live(self.usecase, static, len(planned)))
        finally:
            producer.stop()
        display.close()
        exit_code = None if options.keep else self.worker.stop()
        reached = (planned[-1].known_at - planned[0].known_at) / max(producer.seconds, 1e-3)
        return self._summary(producer.expected, champion, static, reached, exit_code, finished)

    def _create_topics(self) -> None:
        topics = {topic.name: topic.partitions for topic in self.usecase.topics}
        for topic in (self.usecase.predictions_topic, self.usecase.dead_letters_topic):
            topics[topic] = self.usecase.output_partitions
        # Some malformed records are larger than brokers take by default.
        config = {"max.message.bytes": str(_LARGEST_RECORD_BYTES)}
        create_topics(self._services.kafka, topics, config)

    def _start_worker(self) -> None:
        self._display.say("The worker starts ...")
        self.worker.start()

    def _wait_until_ready(self) -> None:
        deadline = time.monotonic() + _READY_SECONDS
        with WarmUp(self._services.kafka) as warm_up:
            while not self.worker.is_ready:
                self.worker.check()
                if time.monotonic() > deadline:
                    why = f"The worker was not ready after {_READY_SECONDS:g} s."
                    raise DemoError(self.worker.keep_log(why))
                warm_up.turn(_TURN_SECONDS)
            latest = time.monotonic() + _WARM_SECONDS
            while not (self._options.backlog or warm_up.is_warm or time.monotonic() > latest):
                warm_up.turn(_TURN_SECONDS)

    def _produce_all(self, producer: FlightProducer) -> None:
        self._display.say("Everything is produced before the worker starts ...")
        producer.start()
        while not producer.is_done:
            time.sleep(0.1)

    def _watch(self, producer: FlightProducer, live: Live) -> bool:
        """Show what happens until everything is finished; return whether it is."""
        committed: dict[PartitionId, int] = {}
        ends = self._offsets.ends(self._inputs)
        looked = moved = time.monotonic()
        with Reader(self._services.kafka, [*self._inputs, *self._outputs]) as reader:
            while True:
                live.seen.take(reader.read(_LOOK_SECONDS))
                self.worker.check()
                self._services.check()
                now = time.monotonic()
                if now - looked >= _OFFSETS_SECONDS:
                    # The ends are asked for last, and are the ends when no more is produced.
                    looked, before, done = now, committed, producer.is_done
                    committed = self._offsets.committed(self._inputs)
                    ends = self._offsets.ends(self._inputs)
                    if committed != before or not sum(ends.values()):
                        moved = now
                    if done and _is_through(committed, ends):
                        live.seen.take(reader.read(_LOOK_SECONDS))
                        self._display.show(live.view(producer, ends, committed))
                        return True
                    if done and now - moved > _STALLED_SECONDS:
                        return False
                self._display.show(live.view(producer, ends, committed))

    def _summary(
        self,
        expected: Mapping[Place, str | None],
        champion: Offline,
        static: Offline,
        speed: float,
        exit_code: int | None,
        finished: bool,
    ) -> Summary:
        self._display.say("All topics are read again from their beginning, to account for all ...")
        seen = self._read_everything()
        events = decoded(self.usecase, seen.sources, expected)
        triggers = self.usecase.features.triggers
        fates = account(seen, events, triggers, expected, self._offsets.committed(self._inputs))
        p50, p99 = _quantiles(fates)
        return Summary(
            mode="backlog" if self._options.backlog else "live",
            speed=speed,
            fates=fates,
            accuracy=self._accuracy(seen, events, champion, static),
            latency_p50_seconds=p50,
            latency_p99_seconds=p99,
            grace_seconds=_GRACE_SECONDS,
            worker_exit_code=exit_code,
            finished=finished,
            seconds=time.monotonic() - self._begun,
            example=seen.last_prediction,
        )

    def _read_everything(self) -> Observation:
        seen = Observation(self.usecase)
        partitions = [*self._inputs, *self._outputs]
        ends = self._offsets.ends(partitions)
        with Reader(self._services.kafka, partitions) as reader:
            for messages in reader.read_to(ends):
                seen.take(messages)
        return seen

    def _accuracy(
        self, seen: Observation, events: Mapping[Place, Event], champion: Offline, static: Offline
    ) -> Accuracy:
        outcome = self.usecase.outcome
        assert outcome is not None
        ordered = in_order(self.usecase, seen.sources, events)
        by_champion, by_static = champion.scores(ordered), static.scores(ordered)
        places = [
            place
            for place in by_champion
            if place in seen.predictions and not seen.predictions[place][0].state_ahead
        ]
        served = [seen.predictions[place][0].score for place in places]
        offline = [by_champion[place] for place in places]
        labels = outcomes(self.usecase, events)
        known = [labels.get(outcome.join_key(events[place])) for place in places]
        landed = [i for i, label in enumerate(known) if label is not None]
        happened = [label for label in known if label is not None]
        same = sum(a == b for a, b in zip(served, offline, strict=True))
        return Accuracy(
            labels=len(landed),
            auc=auc([served[i] for i in landed], happened),
            auc_static=auc([by_static[places[i]] for i in landed], happened),
            auc_offline=auc([offline[i] for i in landed], happened),
            same_as_offline=same / len(places) if places else None,
        )


def _is_through(committed: Mapping[PartitionId, int], ends: Mapping[PartitionId, int]) -> bool:
    return all(committed.get(partition, 0) >= end for partition, end in ends.items())


def _quantiles(fates: Fates) -> tuple[float | None, float | None]:
    if not fates.latencies_seconds:
        return None, None
    p50, p99 = np.quantile(fates.latencies_seconds, (0.5, 0.99))
    return float(p50), float(p99)
