"""What librdkafka says of topic ids in its log."""

import pytest

from stream_app.errors import FatalError
from stream_app.features.stores import Source
from stream_app.kafka.consumer_log import ConsumerLog
from stream_app.records.partition import Partition
from tests.unit.builders import partition

ONE, OTHER = "xrzHeXotRsCuTM7bpu9tWw", "jPVR+2wxSp6/3ookeGw0IA"


def say(library_log: ConsumerLog, before: str, after: str, topic: str = "orders") -> None:
    """A line as librdkafka has it under debug=metadata."""
    line = f"[thrd:main]: Topic {topic} changed id from {before} to {after}"
    library_log.log(10, "%s [%s] %s", "METADATA", "rdkafka#consumer-1", line)


def test_a_partition_of_another_topic_than_the_consumer_reads_is_noticed() -> None:
    """The sentence names the topic and both ids, as Kafka's tools print them."""
    at = Partition("orders", 0, 0, Source("cluster", ONE, 0))
    library_log = ConsumerLog()
    say(library_log, "A" * 22, ONE)
    library_log.check([at])
    say(library_log, ONE, OTHER)
    with pytest.raises(
        FatalError, match=r"orders was deleted and made anew.*jPVR-2wxSp6_3ookeGw0IA"
    ):
        library_log.check([at])


def test_a_topic_that_is_not_held_may_change() -> None:
    """Its partitions are assigned anew, and identified then."""
    library_log = ConsumerLog()
    say(library_log, ONE, OTHER, topic="payments")
    library_log.check([partition()])


def test_no_id_is_no_other_id() -> None:
    """librdkafka knows none of a topic that it has not asked about."""
    at = Partition("orders", 0, 0, Source("cluster", ONE, 0))
    library_log = ConsumerLog()
    say(library_log, ONE, "A" * 22)
    library_log.check([at])


def test_what_a_person_debugs_is_debugged() -> None:
    """The property is added to, not replaced."""
    assert ConsumerLog.properties({"debug": "cgrp"})["debug"] == "cgrp,metadata"
    assert ConsumerLog.properties({})["debug"] == "metadata"


def test_an_answer_that_is_too_large_again_and_again_is_named() -> None:
    """Once it may be anything: who answers may be no broker."""
    library_log = ConsumerLog()
    line = "b:9092/1: Receive failed: Invalid response size 300146 (0..20000): increase receive..."
    for _ in range(2):
        library_log.log(40, "%s [%s] %s", "FAIL", "rdkafka#consumer-1", line)
        library_log.check([])
    library_log.log(40, "%s [%s] %s", "FAIL", "rdkafka#consumer-1", line)
    with pytest.raises(FatalError, match=r"300146 bytes.*receive\.message\.max\.bytes \(20000\)"):
        library_log.check([])
