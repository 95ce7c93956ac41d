"""An assigned partition is an identity."""

from dataclasses import FrozenInstanceError

import pytest

from stream_app.records.partition import Partition
from tests.unit.builders import begins, partition


def test_a_partition_that_is_assigned_again_is_another_one() -> None:
    """Work done under the old assignment is not taken for work of the new one."""
    old, new = partition(3), partition(3)
    assert old != new
    assert {old: "finished"}.get(new) is None


def test_nothing_of_a_partition_changes() -> None:
    """What changes while it is assigned lives with whoever changes it."""
    with pytest.raises(FrozenInstanceError):
        partition().source = None  # type: ignore[misc]


def test_a_partition_is_named_as_operators_name_it() -> None:
    """Whether the brokers were asked for its topic's id or not."""
    assert str(Partition("orders", 3, 0)) == "orders[3]"
    assert Partition("orders", 3, 0).topic_id == ""
    assert partition(3).topic_id == "orders-id"


def test_records_end_where_the_control_records_before_a_start_begin() -> None:
    """A state can hold no more than the records."""
    assert begins(partition(), 10, control_records=3).records_end == 7
