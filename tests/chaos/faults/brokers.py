"""Faults that strike brokers."""

from stream_app.local import LocalKafka
from tests.chaos.faults.base import Context, Fault

__all__ = ["BrokerFrozen", "BrokerKilled", "BrokerRestarted", "LeaderKilled"]


class _OnBroker(Fault):
    """Strikes one broker; one at a time, or two of three would be away."""

    target = "broker"
    recovers_seconds = 3.0

    def broker(self, context: Context) -> LocalKafka:
        """Whom it strikes."""
        return context.services.brokers[self.choice % len(context.services.brokers)]

    def heal(self, context: Context) -> None:
        self.broker(context).start()


class BrokerKilled(_OnBroker):
    """kill -9."""

    kind = "broker-killed"
    longest_seconds = 2.0

    def begin(self, context: Context) -> None:
        self.broker(context).kill()


class BrokerRestarted(_OnBroker):
    """Ended in good order and started again."""

    kind = "broker-restarted"

    def begin(self, context: Context) -> None:
        self.broker(context).terminate()


class BrokerFrozen(_OnBroker):
    """SIGSTOP: connections stay open and nothing answers."""

    kind = "broker-frozen"
    shortest_seconds, longest_seconds = 1.0, 4.0

    def begin(self, context: Context) -> None:
        self.broker(context).pause()

    def heal(self, context: Context) -> None:
        self.broker(context).resume()


class LeaderKilled(_OnBroker):
    """kill -9 to the broker that leads the first partition of one of the topics."""

    kind = "leader-killed"
    shortest_seconds, longest_seconds = 0.5, 3.0
    weight = 4.0
    brokers = 3
    _struck: LocalKafka | None = None

    def begin(self, context: Context) -> None:
        usecase = context.testbed.usecase
        topics = [*context.testbed.topics, usecase.predictions_topic]
        self._struck = context.services.leader(topics[self.choice % len(topics)])
        self._struck.kill()

    def heal(self, context: Context) -> None:
        if self._struck is not None:
            self._struck.start()
