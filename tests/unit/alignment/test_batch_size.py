"""How many records a batch takes."""

import pytest

from stream_app.alignment.batch_size import BatchSize


@pytest.mark.parametrize(
    ("sizes", "most", "expected"),
    [
        ([4, 4, 2], 9, (3, 10)),
        ([4, 4, 3], 9, (2, 8)),
        ([11, 1], 9, (1, 11)),
        ([1, 11, 1], 9, (1, 1)),
        ([1, 1, 1], 2, (2, 2)),
        ([0, 0, 0], 1, (1, 0)),
    ],
    ids=["all", "one too many", "a larger one alone", "before it", "records", "at least one"],
)
def test_a_batch_exceeds_its_bytes_only_by_a_single_larger_record(
    sizes: list[int], most: int, expected: tuple[int, int]
) -> None:
    """The bound is 10 bytes."""
    assert BatchSize(100, 10).fitting(sizes, most) == expected
