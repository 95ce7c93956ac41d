"""The hand-over of chunks: how many are at work, how large they are, and when an empty one goes."""

from concurrent.futures import ThreadPoolExecutor

from stream_app.kafka.consumer.hand_over import HandOver
from stream_app.records.chunk import Chunk
from tests.unit.builders import partition, record


def hand_over() -> tuple[HandOver, list[Chunk]]:
    """A hand-over, and the chunks that arrived."""
    arrived: list[Chunk] = []
    return HandOver(arrived.append, chunk_buffer=2, tick_seconds=0.0), arrived


def test_while_polls_leave_records_behind_no_more_chunks_are_at_work_than_the_buffer_holds() -> (
    None
):
    """There is space again as soon as one of them is worked off, whatever is being delivered."""
    give, arrived = hand_over()
    give.polled(is_behind=True)
    give(Chunk())
    give.delivering(1)
    assert give.has_space(0.0)
    give(Chunk())
    assert not give.has_space(0.0)
    give.done(holding=False, crowded=False)
    assert give.has_space(0.0)
    assert len(arrived) == 2


def test_where_polls_leave_nothing_behind_a_chunk_waits_until_all_before_it_is_delivered() -> None:
    """What comes meanwhile shares it, and small batches do not stand in line."""
    give, _ = hand_over()
    give.polled(is_behind=False)
    assert give.has_space(0.0)
    give(Chunk())
    assert not give.has_space(0.0)
    give.delivering(1)
    give.delivering(1)
    give.done(holding=False, crowded=False)
    assert not give.has_space(0.0)
    give.delivering(-1)
    assert not give.has_space(0.0)
    give.delivering(-1)
    assert give.has_space(0.0)


def test_a_wait_for_space_ends_as_soon_as_the_last_batch_is_delivered() -> None:
    """Whoever waits is told, and need not look again."""
    give, _ = hand_over()
    give.delivering(1)
    with ThreadPoolExecutor(1) as thread:
        waited = thread.submit(give.has_space, 60.0)
        give.delivering(-1)
        assert waited.result(30.0)


def test_chunks_are_smaller_while_many_records_are_held() -> None:
    """At least one record, or nothing would ever be taken."""
    give, _ = hand_over()
    assert give.most_records(4_096) == 4_096
    give.done(holding=True, crowded=True)
    assert give.most_records(4_096) == 256
    assert give.most_records(3) == 1


def test_an_empty_chunk_goes_at_each_tick_while_records_are_held() -> None:
    """Otherwise only as a sign of life, and what is not empty goes at once."""
    give, _ = hand_over()
    give(Chunk())
    assert not give.is_due(Chunk(), has_news=False)
    assert give.is_due(Chunk(), has_news=True)
    assert give.is_due(Chunk(ended=[partition()]), has_news=False)
    assert give.is_due(Chunk(records=[record(partition(), 1)]), has_news=False)
    assert give.poll_seconds(0.1) == 0.1
    give.done(holding=True, crowded=False)
    assert give.is_due(Chunk(), has_news=False)
    assert give.poll_seconds(0.1) == 0.0
