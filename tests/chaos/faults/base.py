"""What a fault is: it begins, lasts and is healed.

Whom it strikes is its `target`: two faults of one target never overlap, those of different targets do.
"""

import threading
import time
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from typing import ClassVar, TypeVar

from confluent_kafka import KafkaException

from stream_app.errors import ServiceAwayError
from tests.chaos.history import History
from tests.chaos.services import Services
from tests.chaos.settled import settled
from tests.chaos.traffic import Traffic
from tests.chaos.workers import Workers
from tests.integration.testbed import Testbed
from tests.integration.worker import eventually

__all__ = ["REQUEST_SECONDS", "STEP_SECONDS", "Context", "Fault", "insist"]

REQUEST_SECONDS = 10.0
_INSIST_SECONDS = 60.0
STEP_SECONDS = 180.0
"""How long a fault may take to begin, and to be healed, on a slow machine too."""

T = TypeVar("T")


@dataclass
class Context:
    """What faults can reach."""

    services: Services
    workers: Workers
    testbed: Testbed
    traffic: Traffic
    history: History
    _locks: dict[str, threading.Lock] = field(default_factory=dict)
    _mutex: threading.Lock = field(default_factory=threading.Lock)

    def topic_id(self, topic: str) -> str:
        """The id of a topic as it is now."""
        return insist(lambda: self.testbed.cluster.topic_ids(topic))[1][topic]

    def begin_again(self) -> None:
        """What a person does who was told to: all workers stop, and start as another application.

        What they had published before counts no more, and everything is published again.
        """
        with self._everybody():
            self.workers.stop()
            name = f"{self.testbed.usecase.name}-again"
            self.testbed.usecase = replace(self.testbed.usecase, name=name)
            usecase = self.testbed.usecase
            out = (usecase.predictions_topic, usecase.dead_letters_topic)
            eventually("the transactions are over", lambda: settled(self.testbed))
            self.history.outputs_from = insist(lambda: self.testbed.cluster.ends(*out))
            for member in self.workers.everybody:
                member.worker.environment(STREAM_APP_APPLICATION=name)
            self.workers.start()

    @contextmanager
    def _everybody(self) -> Iterator[None]:
        with ExitStack() as stack:
            for member in self.workers.everybody:
                stack.enter_context(member.lock)
            yield

    @contextmanager
    def alone_with(self, target: str) -> Iterator[None]:
        """No other fault strikes `target` meanwhile, though an earlier one took longer."""
        with self._mutex:
            lock = self._locks.setdefault(target, threading.Lock())
        with lock:
            yield


@dataclass
class Fault(ABC):
    """One fault of a schedule; times in seconds since the round's faults began."""

    kind: ClassVar[str]
    target: ClassVar[str]
    shortest_seconds: ClassVar[float] = 0.0
    longest_seconds: ClassVar[float] = 0.0
    recovers_seconds: ClassVar[float] = 1.0
    """How long after it another fault of the same target would find nothing to disturb."""
    weight: ClassVar[float] = 1.0
    """How often it is drawn, beside the others."""
    brokers: ClassVar[int] = 1
    """The fewest brokers it makes sense with."""
    most: ClassVar[int] = 99
    """How often it may come in one round."""
    not_with: ClassVar[frozenset[str]] = frozenset()
    """Kinds that it shares no round with: their outcome together is not defined."""
    ends_workers: ClassVar[tuple[str, ...]] = ()
    """What the last sentence of a worker may be that ends because of it: patterns."""

    at_seconds: float
    lasts_seconds: float
    choice: int
    """A drawn number, for whatever else the fault has to choose."""
    step: str = field(default="", init=False, compare=False)
    """What it is at that must come to an end: it begins or is healed."""
    _since: float = field(default=0.0, init=False, compare=False)

    def __str__(self) -> str:
        """As a line of the schedule."""
        return f"{self.at_seconds:5.1f} s  {self.kind} for {self.lasts_seconds:.1f} s"

    @classmethod
    def lacks(cls) -> str:
        """What this machine lacks for it, as a reason; empty: nothing."""
        return ""

    @classmethod
    def whom(cls, choice: int, workers: int) -> str:
        """Its target, more exactly."""
        return cls.target

    def prepare(self, context: Context) -> None:  # noqa: B027  most need nothing
        """Before anything else of the round happens."""

    def strike(self, context: Context) -> None:
        """Begin, wait, heal."""
        with context.alone_with(self.whom(self.choice, len(context.workers.members))):
            try:
                with self._at("begin"):
                    self.begin(context)
                time.sleep(self.lasts_seconds)
            finally:
                with self._at("heal"):
                    self.heal(context)

    def stuck(self) -> str:
        """What it does not come to the end of, in words; empty: nothing."""
        step = self.step
        if not step or time.monotonic() - self._since < STEP_SECONDS:
            return ""
        return f"the fault {self.kind} did not {step} within {STEP_SECONDS:g} s"

    @contextmanager
    def _at(self, step: str) -> Iterator[None]:
        self._since = time.monotonic()
        self.step = step
        try:
            yield
        finally:
            self.step = ""

    @abstractmethod
    def begin(self, context: Context) -> None:
        """Do it."""

    def heal(self, context: Context) -> None:  # noqa: B027  some heal by themselves
        """Undo it."""


def insist(do: Callable[[], T]) -> T:
    """Ask brokers until they answer: one may be away, by another fault."""
    deadline = time.monotonic() + _INSIST_SECONDS
    while True:
        try:
            return do()
        except (KafkaException, ServiceAwayError, OSError):
            if time.monotonic() > deadline:
                raise
            time.sleep(0.2)
