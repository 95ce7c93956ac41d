"""Faults that strike workers."""

from contextlib import ExitStack

from tests.chaos.faults.base import Context, Fault
from tests.chaos.workers import Member

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

    def member(self, context: Context) -> Member:
        """Whom it strikes."""
        return context.workers.members[self.choice % len(context.workers.members)]

    def strike(self, context: Context) -> None:
        with self.member(context).lock:
            super().strike(context)

    def heal(self, context: Context) -> None:
        self.member(context).start()


class WorkerKilled(OnWorker):
    """kill -9."""

    kind = "worker-killed"
    longest_seconds = 2.0
    weight = 4.0

    def begin(self, context: Context) -> None:
        self.member(context).kill()


class WorkerFrozen(OnWorker):
    """SIGSTOP for longer than the session lasts: it wakes as a zombie."""

    kind = "worker-frozen"
    shortest_seconds, longest_seconds = 2.5, 5.0
    recovers_seconds = 1.0
    weight = 4.0

    def begin(self, context: Context) -> None:
        self.member(context).freeze()

    def heal(self, context: Context) -> None:
        self.member(context).resume()


class WorkerRestarted(OnWorker):
    """SIGTERM, and started again at once."""

    kind = "worker-restarted"

    def begin(self, context: Context) -> None:
        self.member(context).stop()


class WorkerLeaves(OnWorker):
    """SIGTERM, and away for a while."""

    kind = "worker-leaves"
    shortest_seconds, longest_seconds = 1.0, 5.0
    weight = 1.0

    def begin(self, context: Context) -> None:
        self.member(context).stop()


class WorkerJoins(Fault):
    """One more comes and, a while later, goes."""

    kind, target = "worker-joins", "extra worker"
    shortest_seconds, longest_seconds = 5.0, 9.0
    weight = 2.0

    def strike(self, context: Context) -> None:
        with context.workers.extra.lock:
            super().strike(context)

    def begin(self, context: Context) -> None:
        context.workers.extra.start()

    def heal(self, context: Context) -> None:
        context.workers.extra.stop()


class AllWorkersKilled(Fault):
    """kill -9 to all at once; a backlog grows until they are back."""

    kind, target = "all-workers-killed", "all workers"
    shortest_seconds, longest_seconds = 0.5, 3.0
    recovers_seconds = 5.0

    def strike(self, context: Context) -> None:
        with ExitStack() as stack:
            for member in context.workers.members:
                stack.enter_context(member.lock)
            super().strike(context)

    def begin(self, context: Context) -> None:
        for member in context.workers.members:
            member.kill()

    def heal(self, context: Context) -> None:
        for member in context.workers.members:
            member.start()
