"""Whether no transaction is open any more."""

from stream_app.errors import ServiceAwayError
from tests.integration.bed import Bed

__all__ = ["settled"]


def settled(bed: Bed) -> bool:
    """Whether readers of committed records see the topics out to their ends."""
    topics = [bed.usecase.predictions_topic, bed.usecase.dead_letters_topic]
    brokers = bed.cluster.brokers
    try:
        partitions = bed.cluster.partitions(*topics)
        return brokers.ends(partitions, decided=True) == brokers.ends(partitions)
    except ServiceAwayError:
        return False
