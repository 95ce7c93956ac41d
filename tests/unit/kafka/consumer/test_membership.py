"""Whether the worker is ready as a member of its group, and why it is not."""

from typing import Any

from stream_app.kafka.consumer.membership import Membership
from stream_app.observer.events import MembershipChanged
from stream_app.observer.observer import Observer
from tests.unit.observers import listening


class Member:
    """A consumer that knows its id in the group."""

    def memberid(self) -> str:
        """As the group knows it."""
        return "member-1"


def told(*steps: Any) -> list[tuple[bool, str]]:
    """What the probe is told at each step of a membership."""
    observer, heard = listening(MembershipChanged)
    membership = Membership(observer)
    for step in steps:
        step(membership)
    return [(event.is_ready, event.why) for event in heard]


def look(*members: str) -> Any:
    """The brokers are asked for idle members."""

    def step(membership: Membership) -> None:
        membership.note_member(Member())  # type: ignore[arg-type]
        membership.look(lambda: set(members))

    return step


def test_a_worker_is_ready_while_it_holds_partitions() -> None:
    """Giving up some of them changes nothing."""
    assert told(lambda m: m.assigned(3), lambda m: m.gave_up(2)) == [(True, "")]


def test_a_worker_that_lost_its_partitions_is_not_ready_and_says_why() -> None:
    """So it is with one that gave up all it had, until it gets others."""
    heard = told(
        lambda m: m.assigned(3), lambda m: m.lost(0), lambda m: m.assigned(1),
        lambda m: m.gave_up(0),
    )  # fmt: skip
    assert [ready for ready, _ in heard] == [True, False, True, False]
    assert "lost its partitions" in heard[1][1]
    assert "gave up its partitions" in heard[3][1]


def test_a_worker_for_which_there_is_no_partition_is_ready_and_says_so() -> None:
    """It stands by: the group is at rest, and counts it among its members."""
    heard = told(lambda m: m.assigned(0), look("member-2"), look("member-1", "member-2"))
    assert [ready for ready, _ in heard] == [False, True]
    assert "joining" in heard[0][1]
    assert "more members than partitions" in heard[1][1]


def test_who_holds_partitions_is_not_told_that_it_has_none() -> None:
    """An answer of the brokers may be late."""
    assert told(look("member-1"), lambda m: m.assigned(1), look("member-1"))[-1] == (True, "")


def test_the_brokers_are_asked_until_it_is_known_and_not_for_as_long_as_the_worker_stands_by() -> (
    None
):
    """Each such request is a small risk to the process; a new assignment asks again."""
    asked: list[str] = []
    membership = Membership(Observer())

    def look(*members: str) -> None:
        membership.note_member(Member())  # type: ignore[arg-type]
        membership.look(lambda: asked.append("asked") or set(members))  # type: ignore[func-returns-value]

    membership.assigned(0)
    look()
    for _ in range(3):
        look("member-1")
    assert len(asked) == 2
    membership.assigned(0)
    look("member-1")
    assert len(asked) == 3
