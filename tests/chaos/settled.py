"""Whether no transaction is open any more."""

from confluent_kafka import IsolationLevel, KafkaException
from confluent_kafka.admin import AdminClient, OffsetSpec

from stream_app.kafka.queries import log_offsets
from tests.integration.bed import Bed

__all__ = ["settled"]

_REQUEST_SECONDS = 20.0


def settled(bed: Bed) -> bool:
    """Whether readers of committed records see the topics out to their ends."""
    topics = [bed.usecase.predictions_topic, bed.usecase.dead_letters_topic]
    try:
        places = list(bed.cluster.ends(*topics))
        admin = AdminClient({"bootstrap.servers": bed.cluster.bootstrap, "log_level": 0})
        ends = [
            log_offsets(admin, places, OffsetSpec.latest(), _REQUEST_SECONDS, level)
            for level in (IsolationLevel.READ_COMMITTED, IsolationLevel.READ_UNCOMMITTED)
        ]
    except KafkaException:
        return False
    return ends[0] == ends[1]
