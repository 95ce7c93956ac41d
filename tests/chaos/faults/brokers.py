"""Faults that strike brokers."""

from stream_app.local import LocalKafka
from tests.chaos.faults.base import Fault, Scene

__all__ = ["BrokerFrozen", "BrokerKilled", "BrokerRestarted", "LeaderKilled"]


class _OnBroker(Fault):
    """Strikes one broker; one at a time, or two of three would be away."""

    target = "broker"
    recovers_seconds = 3.0

    def broker(self, scene: Scene) -> LocalKafka:
        """Whom it strikes."""
        return scene.grounds.brokers[self.choice % len(scene.grounds.brokers)]

    def heal(self, scene: Scene) -> None:
        self.broker(scene).start()


class BrokerKilled(_OnBroker):
    """kill -9."""

    kind = "broker-killed"
    longest_seconds = 2.0

    def begin(self, scene: Scene) -> None:
        self.broker(scene).kill()


class BrokerRestarted(_OnBroker):
    """Ended in good order and started again."""

    kind = "broker-restarted"

    def begin(self, scene: Scene) -> None:
        self.broker(scene).terminate()


class BrokerFrozen(_OnBroker):
    """SIGSTOP: connections stay open and nothing answers."""

    kind = "broker-frozen"
    shortest_seconds, longest_seconds = 1.0, 4.0

    def begin(self, scene: Scene) -> None:
        self.broker(scene).pause()

    def heal(self, scene: Scene) -> None:
        self.broker(scene).resume()


class LeaderKilled(_OnBroker):
    """kill -9 to the broker that leads the first partition of one of the topics."""

    kind = "leader-killed"
    shortest_seconds, longest_seconds = 0.5, 3.0
    weight = 4.0
    brokers = 3
    _struck: LocalKafka | None = None

    def begin(self, scene: Scene) -> None:
        usecase = scene.bed.usecase
        topics = [*scene.bed.topics, usecase.predictions_topic]
        self._struck = scene.grounds.leader(topics[self.choice % len(topics)])
        self._struck.kill()

    def heal(self, scene: Scene) -> None:
        if self._struck is not None:
            self._struck.start()
