"""What librdkafka says of topic ids in its log."""

import pytest

from features.stores import Source
from stream_app.errors import FatalError
from stream_app.topic_changes import TopicChanges
from tests.unit.stream_app.builders import partition

ONE, OTHER = "xrzHeXotRsCuTM7bpu9tWw", "jPVR+2wxSp6/3ookeGw0IA"


def say(changes: TopicChanges, before: str, after: str, topic: str = "orders") -> None:
    """A line as librdkafka has it under debug=metadata."""
    line = f"[thrd:main]: Topic {topic} changed id from {before} to {after}"
    changes.log(10, "%s [%s] %s", "METADATA", "rdkafka#consumer-1", line)


def test_a_partition_of_another_topic_than_the_consumer_reads_is_noticed() -> None:
    """The sentence names the topic and both ids, as Kafka's tools print them."""
    at = partition()
    at.source = Source("cluster", ONE, 0)
    changes = TopicChanges()
    say(changes, "A" * 22, ONE)
    changes.check([at])
    say(changes, ONE, OTHER)
    with pytest.raises(
        FatalError, match=r"orders was deleted and made anew.*jPVR-2wxSp6_3ookeGw0IA"
    ):
        changes.check([at])


def test_a_topic_that_is_not_held_may_change() -> None:
    """Its partitions are assigned anew, and identified then."""
    changes = TopicChanges()
    say(changes, ONE, OTHER, topic="payments")
    changes.check([partition()])


def test_no_id_is_no_other_id() -> None:
    """librdkafka knows none of a topic that it has not asked about."""
    at = partition()
    at.source = Source("cluster", ONE, 0)
    changes = TopicChanges()
    say(changes, ONE, "A" * 22)
    changes.check([at])


def test_what_a_person_debugs_is_debugged() -> None:
    """The property is added to, not replaced."""
    assert TopicChanges.properties({"debug": "cgrp"})["debug"] == "cgrp,metadata"
    assert TopicChanges.properties({})["debug"] == "metadata"
