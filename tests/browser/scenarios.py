"""Workers as the status page may find them: real metrics, health and notes, told what befell them."""

import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from stream_app.kafka.end_offsets import PartitionLag
from stream_app.kafka.queries import Member
from stream_app.lag.fleet_status import FleetStatus
from stream_app.lag.group import Standing
from stream_app.lag.verdict import Verdict
from stream_app.lag.waiting_records import Waiting
from stream_app.lag.watch import Known, Sight
from stream_app.lag.watch import PartitionLag as GroupLag
from stream_app.observer.events import (
    BatchFinished,
    PartitionsRebuilding,
    PartitionStopped,
    Rebalanced,
    StoppedPartitions,
)
from stream_app.observer.observer import Observer
from stream_app.records.failure import Failure
from stream_app.records.places import PartitionId
from stream_app.status_page.notes import Notes
from stream_app.status_page.routes import status_routes
from stream_app.status_page.series import STEPS
from stream_app.status_page.worker_status import Identity, WorkerStatus
from stream_app.supervisor.merged_status import merged_status
from stream_app.telemetry.health import Health
from stream_app.telemetry.http_server import HttpServer
from stream_app.telemetry.metrics import Metrics
from tests.unit.builders import batch, failed, partition

__all__ = [
    "HOSTILE",
    "SCENARIOS",
    "Scene",
    "healthy",
    "in_trouble",
    "lagging",
    "rebuilding",
    "served",
    "several",
    "stopped",
]

HOSTILE = (
    "<script>document.title='taken'</script>",
    "<img src=x onerror=\"document.title='taken'\">",
    "\"><svg onload=document.title='taken'>",
    "javascript:document.title='taken'//",
    "{{constructor.constructor('document.title=1')()}} ${document.title='taken'}",
    "\u202egnirts desrever\u202c \ufeff\u200b zero width, \x00 and \x1b[2J control",
    "w" * 400,
)
"""What a record or an error may say, for the worst reader."""

TOPICS = ("flights.boarding", "flights.arrived")
PARTITIONS = 4
IDENTITY = Identity(
    "flights", "worker-7c9f:12", "0.1.0", "flights-late", "champion-1",
    ("flights-late champion-1", "flights-late static-1"),
)  # fmt: skip


class Scene:
    """A worker of which a test says what befell it, ten minutes long."""

    def __init__(self) -> None:
        self.random = random.Random(7)
        self.metrics = Metrics()
        self.health = Health()
        self.health.ready(True)
        self.notes = Notes()
        self.observer = Observer(self.notes.listeners())
        self.lags: list[PartitionLag] = []
        self.status = WorkerStatus(
            IDENTITY,
            self.metrics,
            self.health,
            self.notes,
            lags=lambda: self.lags,
            in_hand=lambda _: None,
            step_now=lambda: self.step,
        )
        self.step = STEPS

    def pass_by(self, steps: int, each: Callable[[int], None]) -> None:
        """Let so many steps pass; `each` says what happens in one."""
        for number in range(steps):
            each(number)
            self.status.sample(self.step)
            self.step += 1

    def work(self, records: float, *, latency: float = 0.02, letters: int = 0) -> None:
        """Let about so many records a second be done."""
        done = round(2 * records * self.random.uniform(0.85, 1.15))
        predicted = done // 3
        self.metrics.outcome("predicted", TOPICS[0], predicted)
        self.metrics.outcome("state_only", TOPICS[1], done - predicted)
        self.metrics.predictions("flights-late", "champion-1", "champion", None, predicted)
        if letters:
            self.metrics.outcome("dead_lettered", TOPICS[0], letters)
            self.metrics.dead_letters(TOPICS[0], "decode", "out-of-range", "poison", letters)
        spread = np.array([self.random.lognormvariate(0.0, 0.7) for _ in range(40)])
        self.metrics.latencies(latency * np.repeat(spread, max(1, done // 40)))

    def lag(self, seconds: float, records: float) -> None:
        """Let the partitions be behind by about so much."""
        self.lags = [
            PartitionLag(
                topic, number,
                round(records * (share := self.random.uniform(0.4, 1.0))), seconds * share,
            )
            for topic in TOPICS for number in range(PARTITIONS)
        ]  # fmt: skip

    def refuse(self, *messages: str, topic: str = TOPICS[0], reason: str = "out-of-range") -> None:
        """Let records become dead letters, for these reasons."""
        items = [failed(partition(3, topic), 400 + at) for at in range(len(messages))]
        for each, message in zip(items, messages, strict=True):
            each.failure = Failure("decode", reason, message)
        self.observer.tell(BatchFinished(batch(1, items)))


def healthy() -> Scene:
    """It keeps up with what comes in; a record in two hundred is refused."""
    scene = Scene()
    scene.observer.tell(Rebalanced("assigned", 8))

    def each(number: int) -> None:
        wave = 1 + 0.4 * np.sin(number / 40)
        scene.work(450 * wave, letters=3 if number % 3 == 0 else 0)
        scene.lag(0.25 * wave, 60 * wave)

    scene.pass_by(STEPS, each)
    for value in (497239769.6, -3.0, 10_001.0):
        scene.refuse(
            f"field distance_miles: Input should be less than or equal to 10000, not {value:g}"
        )
    return scene


def lagging() -> Scene:
    """More comes in than it does: since four minutes it falls behind, now by two."""
    scene = Scene()
    scene.observer.tell(Rebalanced("assigned", 8))

    def each(number: int) -> None:
        behind = max(0, number - (STEPS - 120))
        scene.work(450 if not behind else 380, latency=0.02 + behind * 1.0)
        scene.lag(0.3 + behind * 1.1, 70 + behind * 160)

    scene.pass_by(STEPS, each)
    return scene


def rebuilding() -> Scene:
    """Redis was flushed: the state is built anew, and the fallback serves."""
    scene = healthy()
    scene.observer.tell(PartitionsRebuilding(8))
    scene.metrics.predictions("flights-late", "static-1", "flights-late", "state-rebuilding", 4_000)
    scene.metrics.rebuilt_records(51_000)
    scene.status.sample(scene.step)
    return scene


def stopped() -> Scene:
    """A producer sends what does not fit: its partition is stopped, and the others go on."""
    scene = healthy()
    why = f"64 of its last 100 records were refused, the last one for {HOSTILE[0]}"
    stop = PartitionStopped(partition(3, TOPICS[0]), 48_211, why, time.time() - 95.0, is_new=True)
    scene.observer.tell(stop)
    scene.observer.tell(StoppedPartitions((stop,), held=8))
    scene.pass_by(1, lambda _: None)
    return scene


def in_trouble() -> Scene:
    """Redis is away, nothing is done for a minute, and dead letters say the worst things."""
    scene = Scene()
    scene.observer.tell(Rebalanced("assigned", 8))

    def each(number: int) -> None:
        scene.work(300, letters=60)
        scene.lag(0.3, 70)

    scene.pass_by(STEPS - 30, each)
    scene.refuse(*HOSTILE, topic=f"topic-{HOSTILE[0]}", reason=HOSTILE[1])
    scene.metrics.dead_letters(HOSTILE[0], HOSTILE[2], "out-of-range", "bug", 70)
    scene.health.waiting_for("redis", f"Connection refused by {HOSTILE[1]}")
    scene.pass_by(30, lambda number: scene.lag(2.0 * number, 600 * number))
    return scene


class Fleet:
    """Three groups as they are seen from outside, ten minutes long."""

    def __init__(self) -> None:
        self.sights = [Sight(name) for name in ("flights", "billing", f"audit-{HOSTILE[1]}")]
        self.step = STEPS
        self.status = FleetStatus(self.sights, step_now=lambda: self.step)
        for number in range(STEPS):
            behind = max(0, number - STEPS + 90)
            self._look(0, [(30, 0.2, Verdict.OK)] * 8)
            self._look(
                1,
                [(40 + 90 * behind, 0.3 + 2.0 * behind, Verdict.STALL)]
                + [(9, 0.1, Verdict.OK)] * 3,
            )
            self._look(2, [(900, 40.0, Verdict.WARNING)] * 30)
            self.status.sample(self.step)
            self.step += 1

    def _look(self, place: int, figures: list[tuple[int, float, Verdict]]) -> None:
        now, group = time.time(), self.sights[place].group
        self.sights[place].known = Known(
            [
                GroupLag(
                    PartitionId(f"topic-{place}", number),
                    Standing(10, 0, 10 + records, Member(f"m{number % 3}", f"{group}@worker-{number % 3}", "/10.0.0.7", None)),
                    Waiting(records, True, now - seconds), 40.0, None if seconds > 30 else 0.5, verdict,
                )
                for number, (records, seconds, verdict) in enumerate(figures)
            ],
            now,
        )  # fmt: skip


def fleet() -> Fleet:
    """One group is well, one stalls on a partition, one has many partitions."""
    return Fleet()


class Several:
    """Four workers behind one supervisor, of which one is in trouble and one does not answer."""

    def __init__(self) -> None:
        self.status = self
        self._found = {number: _one_of_three(number) for number in (1, 2, 3)}

    def document(self) -> dict[str, Any]:
        """What the supervisor's page tells."""
        return merged_status({**self._found, 4: None}, time.time())


def _one_of_three(number: int) -> dict[str, Any]:
    scene = in_trouble() if number == 2 else healthy()
    found = scene.status.document()
    held = [each for each in found["partitions"] if each["partition"] % 3 == number - 1]
    return {**found, "worker": f"ingest-host-03:{40 + number}", "partitions": held}


def several() -> Several:
    """The page of `stream-app run --workers 4`."""
    return Several()


SCENARIOS = {
    each.__name__: each
    for each in (healthy, lagging, rebuilding, stopped, in_trouble, fleet, several)
}


@contextmanager
def served(scene: Scene | Fleet | Several) -> Iterator[str]:
    """The address of its page; what stands goes on standing."""
    with HttpServer("127.0.0.1", 0, status_routes(scene.status.document)) as server:
        yield f"http://127.0.0.1:{server.port}/"
