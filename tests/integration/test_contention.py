"""Sixteen processes that write the state of one entity, in a real Redis."""

from benchmarks.contention import contend


def test_sixteen_writers_of_one_entity_lose_no_update(redis_url: str) -> None:
    """Each update is in the state once: their number and the sum of their hashes are exact."""
    outcome = contend(redis_url, writers=16, batches=20, size=4)
    assert outcome.updates == outcome.expected_updates == 16 * 20 * 4
    assert outcome.digest == outcome.expected_digest
    assert outcome.conflicts > 0, "they did not meet: nothing was tested"
