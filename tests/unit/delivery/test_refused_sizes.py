"""What one record's refused size says of others, and what does not follow from it."""

import os

import pytest

from stream_app.delivery.refused_sizes import RefusedSizes
from stream_app.records.batch import Outgoing
from tests.unit.builders import item, partition
from tests.unit.delivery.test_transactions import Context

P = partition(0)


def outgoing(value: bytes, topic: str = "out") -> Outgoing:
    """A prediction."""
    return Outgoing(topic, b"k", value, [("h", b"v")], P)


def test_what_is_no_smaller_is_believed_for_a_while() -> None:
    """Of the same topic; what compresses better may fit, and after a minute one is tried again."""
    now = 0.0
    sizes = RefusedSizes(lambda: now)
    assert not sizes
    sizes.add(outgoing(os.urandom(30_000)))
    assert sizes
    assert outgoing(os.urandom(30_001)) in sizes
    assert outgoing(os.urandom(29_000)) not in sizes
    assert outgoing(bytes(60_000)) not in sizes
    assert outgoing(os.urandom(60_000), "another") not in sizes
    taken = outgoing(os.urandom(60_000))
    taken.fits = True
    assert taken not in sizes
    now = 61.0
    assert not sizes


@pytest.mark.parametrize("batch_records", [1, 50, 400])
def test_many_refused_records_cost_a_few_transactions(batch_records: int) -> None:
    """Each aborted one takes half a second: with one for each record a backlog took minutes."""
    context = Context()
    context.log.limits = {"out": 2_000, "dead": 20_000}
    for start in range(0, 400, batch_records):
        batch = context.batch(*(item(P, start + n) for n in range(batch_records)))
        for each in batch.outgoing:
            assert each.item is not None
            if each.item.offset % 20 == 7:
                each.value = os.urandom(3_000 + each.item.offset)
        context.stage(batch)
        context.stage.finish(batch)
    context.stage.flush()
    assert len(context.log.values) == 400
    assert context.log.calls.count("abort") <= 6
