"""Whether no transaction is open any more."""

from stream_app.errors import ServiceAwayError
from tests.integration.testbed import Testbed

__all__ = ["settled"]


def settled(testbed: Testbed) -> bool:
    """Whether readers of committed records see the topics out to their ends."""
    topics = [testbed.usecase.predictions_topic, testbed.usecase.dead_letters_topic]
    brokers = testbed.cluster.brokers
    try:
        partitions = testbed.cluster.partitions(*topics)
        return brokers.ends(partitions, decided=True) == brokers.ends(partitions)
    except ServiceAwayError:
        return False
