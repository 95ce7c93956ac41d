"""Where a worker begins to read: nothing is skipped unseen, and what is gone is told exactly."""

import pytest
from confluent_kafka import Consumer, TopicPartition
from confluent_kafka.admin import AdminClient, NewPartitions  # type: ignore[attr-defined]

from tests.integration.testbed import Testbed
from tests.integration.worker import eventually


def delete_records(testbed: Testbed, topic: str, number: int, before: int) -> None:
    """Do what retention does: remove a partition's records before an offset."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    for future in admin.delete_records([TopicPartition(topic, number, before)]).values():
        future.result(30)


def add_partitions(testbed: Testbed, topic: str, count: int) -> None:
    """Give a topic so many partitions."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    admin.create_partitions([NewPartitions(topic, count)])[topic].result(30)
    eventually("there are more", lambda: len(testbed.cluster.ends(topic)) == count)


def delete_topics(testbed: Testbed) -> None:
    """Delete the topics of events."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    for future in admin.delete_topics(testbed.topics).values():
        future.result(30)


def forget_group(testbed: Testbed) -> None:
    """Do what happens to a group that was stopped for too long: its offsets expire."""
    admin = AdminClient({"bootstrap.servers": testbed.cluster.bootstrap})
    eventually(
        "nobody is left in it",
        lambda: not testbed.cluster.brokers.members(testbed.usecase.name),
    )
    admin.delete_consumer_groups([testbed.usecase.name])[testbed.usecase.name].result(30)


def finish_once(testbed: Testbed, count: int, **settings: object) -> None:
    """Produce records and let a worker finish them."""
    testbed.cluster.produce(testbed.tickets(count))
    with testbed.worker(**settings) as worker:
        worker.until("all is done", testbed.drained)
        assert worker.stop() == 0


def test_a_group_that_has_committed_nothing_may_start_at_the_end(tickets: Testbed) -> None:
    """By setting; what comes afterwards is predicted."""
    tickets.cluster.produce(tickets.tickets(300))
    with tickets.worker(starts_at="end") as worker:
        worker.ready()
        worker.until("its offsets are committed", tickets.drained)
        assert tickets.predictions() == []
        tickets.cluster.produce(tickets.tickets(200))
        worker.until("the rest is done", lambda: len(tickets.predictions()) == 200)


def test_a_group_whose_offsets_expired_does_not_start_at_the_end(meters: Testbed) -> None:
    """The state shows that it had been further: what came since is for a person to decide."""
    with meters.worker(starts_at="end") as worker:
        worker.ready().until("its offsets are committed", meters.drained)
        meters.cluster.produce(meters.meters(90))
        worker.until("all is done", meters.drained)
        assert worker.stop() == 0
    forget_group(meters)
    meters.cluster.produce(meters.meters(30))
    for _ in range(2):  # the first one must not leave anything behind that hides it
        with meters.worker(starts_at="end") as worker:
            assert worker.wait() == 1
            assert "its offsets expired" in worker.log, worker.tail()
            assert "Traceback" not in worker.log
    assert len(meters.predictions()) == 30


def test_what_is_skipped_at_the_start_is_told(tickets: Testbed) -> None:
    """Without state nobody knows that offsets expired; then a log line and a metric tell of it."""
    finish_once(tickets, 40)
    forget_group(tickets)
    (topic,) = tickets.topics
    ends = tickets.cluster.ends(topic)
    with tickets.worker(starts_at="end") as worker:
        worker.ready().until("its offsets are committed", tickets.drained)
        for (_, number), end in ends.items():
            assert f"{topic}[{number}] 0-{end - 1}" in worker.log, worker.tail()
        assert worker.metric("stream_app_records_skipped_at_start_total", topic=topic) == 40


def test_a_new_group_says_what_retention_left_it(tickets: Testbed) -> None:
    """It begins behind offset 0, and tells how much was deleted before it came."""
    (topic,) = tickets.topics
    sent = tickets.tickets(30)
    for each in sent:
        each.partition = 0
    tickets.cluster.produce(sent)
    delete_records(tickets, topic, 0, 12)
    with tickets.worker() as worker:
        worker.until("all is done", tickets.drained)
        assert f"gone by retention: {topic}[0] begins at offset 12" in worker.log
        name = "stream_app_records_gone_by_retention_total"
        assert worker.metric(name, topic=topic, partition="0") == 12
    assert len(tickets.predictions()) == 18


def test_partitions_added_later_start_at_their_beginning(tickets: Testbed) -> None:
    """Also where the group started at the end: their first records came while nobody looked."""
    (topic,) = tickets.topics
    before = len(tickets.cluster.ends(topic))
    finish_once(tickets, 100, starts_at="end")
    seen = len(tickets.predictions())
    add_partitions(tickets, topic, before + 2)
    added = tickets.tickets(200)
    for number, sent in enumerate(added):
        sent.partition = before + number % 2
    tickets.cluster.produce(added)
    with tickets.worker(starts_at="end") as worker:
        worker.until("all is done", tickets.drained)
    assert len(tickets.predictions()) == seen + 200


def test_records_gone_by_retention_are_told_by_their_range(tickets: Testbed) -> None:
    """In the log and as a metric; the worker goes on behind the gap."""
    (topic,) = tickets.topics
    finish_once(tickets, 100)
    end = tickets.cluster.ends(topic)[topic, 0]
    late = tickets.tickets(60)
    for sent in late:
        sent.partition = 0
    tickets.cluster.produce(late)
    delete_records(tickets, topic, 0, end + 25)
    with tickets.worker() as worker:
        worker.until("all is done", tickets.drained)
        gone = f"gone by retention: {topic}[0] offsets {end} to {end + 24} (25)"
        assert gone in worker.log, worker.log
        name = "stream_app_records_gone_by_retention_total"
        assert worker.metric(name, topic=topic, partition="0") == 25
    assert len(tickets.predictions()) == 100 + 35


def test_a_worker_may_stop_where_records_are_gone(tickets: Testbed) -> None:
    """By setting: one line with the range and what to do, and status 1."""
    (topic,) = tickets.topics
    finish_once(tickets, 100)
    end = tickets.cluster.ends(topic)[topic, 0]
    late = tickets.tickets(20)
    for sent in late:
        sent.partition = 0
    tickets.cluster.produce(late)
    delete_records(tickets, topic, 0, end + 5)
    with tickets.worker(on_gone="stop") as worker:
        assert worker.wait() == 1
        assert f"{topic}[0] offsets {end} to {end + 4} (5)" in worker.log
        assert "on_gone = continue" in worker.log
        assert "Traceback" not in worker.log


def test_records_that_go_while_they_are_to_be_read_are_told(tickets: Testbed) -> None:
    """A worker that was frozen finds the log shorter than its position."""
    (topic,) = tickets.topics
    with tickets.worker(session_timeout_seconds=30) as worker:
        tickets.cluster.produce(tickets.tickets(50))
        worker.until("all is done", tickets.drained)
        worker.pause()
        end = tickets.cluster.ends(topic)[topic, 0]
        late = tickets.tickets(60)
        for sent in late:
            sent.partition = 0
        tickets.cluster.produce(late)
        delete_records(tickets, topic, 0, end + 40)
        worker.resume()
        worker.until("all is done", tickets.drained)
        worker.until(
            "it says what is gone", lambda: f"offsets {end} to {end + 39} (40)" in worker.log
        )
    assert len(tickets.predictions()) == 50 + 20


def test_a_position_behind_the_end_of_the_log_is_for_a_person(tickets: Testbed) -> None:
    """The brokers lost what they had acknowledged, and the worker says so."""
    (topic,) = tickets.topics
    finish_once(tickets, 60)
    place = (topic, 0)
    end = tickets.cluster.ends(topic)[place]
    tickets.cluster.set_committed(tickets.usecase.name, {place: end + 7})
    with tickets.worker() as worker:
        assert worker.wait() == 1
        assert f"{topic}[0] ends at offset {end}, but the group is at {end + 7}" in worker.log
        assert "Traceback" not in worker.log


def test_an_offset_of_another_log_is_for_a_person(tickets: Testbed) -> None:
    """Its leader epoch was never reached here: the log is not the one that was read, though it
    holds records at that offset. The others of the group's offsets are gone on from."""
    (topic,) = tickets.topics
    finish_once(tickets, 60)
    _, topic_ids = tickets.cluster.topic_ids(topic)
    by_hand = Consumer(
        {"bootstrap.servers": tickets.cluster.bootstrap, "group.id": tickets.usecase.name}
    )
    mark = f"stream-app/1 {topic_ids[topic]}"
    by_hand.commit(offsets=[TopicPartition(topic, 1, 5, mark, 7)], asynchronous=False)
    by_hand.close()
    with tickets.worker() as worker:
        assert worker.wait() == 1
        assert f"{topic}[1] no longer holds what was read of it" in worker.log, worker.tail()
        assert "Traceback" not in worker.log
    assert len(tickets.predictions()) == 60


@pytest.mark.parametrize("delivery", ["at_least_once", "exactly_once"])
def test_a_topic_made_anew_is_another_topic(meters: Testbed, delivery: str) -> None:
    """Its records are read from the beginning, have ids of their own and are counted."""
    meters.cluster.produce(meters.meters(900))
    with meters.worker(delivery=delivery) as worker:
        worker.until("all is done", meters.drained)
        assert worker.stop() == 0
    first = {out.header("prediction-id") for out in meters.predictions()}
    counts = {key: account[0] for key, account in meters.account().items()}
    offsets = meters.cluster.committed(meters.usecase.name, *meters.topics)
    delete_topics(meters)
    meters.cluster.create_events(meters.usecase)
    # A worker that lived on may commit the offsets of the old topic for the new one.
    tagged = {place: offset for place, offset in offsets.items() if offset}
    meters.cluster.set_committed(
        meters.usecase.name, tagged, metadata="stream-app/1 AAAAAAAAAAAAAAAAAAAAAA"
    )
    meters.cluster.produce(meters.meters(900))

    def second() -> set[str | None]:
        return {out.header("prediction-id") for out in meters.predictions()} - first

    with meters.worker(delivery=delivery) as worker:
        worker.until("all is predicted", lambda: len(second()) == 300)
        worker.until("all is done", meters.drained)
        assert "is another topic than the one whose offset" in worker.log
    assert len(first) == 300
    again = {key: account[0] for key, account in meters.account().items()}
    assert again == {key: 2 * count for key, count in counts.items()}
