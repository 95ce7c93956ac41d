"""Faults that strike workers."""

from contextlib import ExitStack

from tests.chaos.crew import Member
from tests.chaos.faults.base import Fault, Scene

__all__ = [
    "AllWorkersKilled",
    "OnWorker",
    "WorkerFrozen",
    "WorkerJoins",
    "WorkerKilled",
    "WorkerLeaves",
    "WorkerRestarted",
]


class OnWorker(Fault):
    """Strikes one of those at work."""

    target = "worker"
    recovers_seconds = 3.0
    weight = 2.0

    @classmethod
    def whom(cls, choice: int, workers: int) -> str:
        """The worker it strikes."""
        return f"worker {choice % workers}"

    def member(self, scene: Scene) -> Member:
        """Whom it strikes."""
        return scene.crew.members[self.choice % len(scene.crew.members)]

    def strike(self, scene: Scene) -> None:
        with self.member(scene).lock:
            super().strike(scene)

    def heal(self, scene: Scene) -> None:
        self.member(scene).start()


class WorkerKilled(OnWorker):
    """kill -9."""

    kind = "worker-killed"
    longest_seconds = 2.0
    weight = 4.0

    def begin(self, scene: Scene) -> None:
        self.member(scene).kill()


class WorkerFrozen(OnWorker):
    """SIGSTOP for longer than the session lasts: it wakes as a zombie."""

    kind = "worker-frozen"
    shortest_seconds, longest_seconds = 2.5, 5.0
    recovers_seconds = 1.0
    weight = 4.0

    def begin(self, scene: Scene) -> None:
        self.member(scene).freeze()

    def heal(self, scene: Scene) -> None:
        self.member(scene).resume()


class WorkerRestarted(OnWorker):
    """SIGTERM, and started again at once."""

    kind = "worker-restarted"

    def begin(self, scene: Scene) -> None:
        self.member(scene).stop()


class WorkerLeaves(OnWorker):
    """SIGTERM, and away for a while."""

    kind = "worker-leaves"
    shortest_seconds, longest_seconds = 1.0, 5.0
    weight = 1.0

    def begin(self, scene: Scene) -> None:
        self.member(scene).stop()


class WorkerJoins(Fault):
    """One more comes and, a while later, goes."""

    kind, target = "worker-joins", "extra worker"
    shortest_seconds, longest_seconds = 5.0, 9.0
    weight = 2.0

    def strike(self, scene: Scene) -> None:
        with scene.crew.extra.lock:
            super().strike(scene)

    def begin(self, scene: Scene) -> None:
        scene.crew.extra.start()

    def heal(self, scene: Scene) -> None:
        scene.crew.extra.stop()


class AllWorkersKilled(Fault):
    """kill -9 to all at once; a backlog grows until they are back."""

    kind, target = "all-workers-killed", "all workers"
    shortest_seconds, longest_seconds = 0.5, 3.0
    recovers_seconds = 5.0

    def strike(self, scene: Scene) -> None:
        with ExitStack() as stack:
            for member in scene.crew.members:
                stack.enter_context(member.lock)
            super().strike(scene)

    def begin(self, scene: Scene) -> None:
        for member in scene.crew.members:
            member.kill()

    def heal(self, scene: Scene) -> None:
        for member in scene.crew.members:
            member.start()
