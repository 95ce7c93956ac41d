"""Whether the worker takes records as a member of its group, and if not, why: for `/readyz`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from confluent_kafka import Consumer

from stream_app.observer.events import MembershipChanged
from stream_app.observer.observer import Observer

__all__ = ["Membership"]

_JOINING: Final = "The worker is joining its consumer group."
_LOST: Final = (
    "The worker lost its partitions: the group went on without it. It is joining the group again."
)
_GAVE_UP: Final = "The worker gave up its partitions and waits for those it gets instead."
_NONE_LEFT: Final = "The worker has no partition: the group has more members than partitions."


class Membership:
    """Follows the assignment; every call but `look` is made on the client thread."""

    def __init__(self, observer: Observer) -> None:
        self._observer = observer
        self._holds_any = False
        self._is_idle = False
        self._idle_member = ""
        """Id of this member while it holds no partition; empty before it has one."""

    @property
    def is_member(self) -> bool:
        """Whether the group counts on this member, with partitions or without."""
        return self._holds_any or self._is_idle

    def assigned(self, held: int) -> None:
        """Partitions were assigned, perhaps none; `held` are ours now."""
        self._holds_any, self._is_idle = held > 0, False
        # Without partitions it is not known yet whether some are on their way.
        self._change(self._holds_any, "" if self._holds_any else _JOINING)

    def gave_up(self, held: int) -> None:
        """Partitions were given away in order; `held` are left."""
        if not held:
            self._holds_any = self._is_idle = False
            self._change(False, _GAVE_UP)

    def lost(self, held: int) -> None:
        """Partitions were taken away, because the group did not hear of this member."""
        if not held:
            self._holds_any = self._is_idle = False
            self._change(False, _LOST)

    def note_member(self, consumer: Consumer) -> None:
        """Note who this member is, as long as it holds no partition."""
        self._idle_member = "" if self._holds_any else consumer.memberid() or ""

    def look(self, idle_members: Callable[[], set[str]]) -> None:
        """Called by any thread, now and then: a member that is to have no partition is ready.

        `idle_members` asks the brokers for the members of a group at rest that have none. Once that is
        known they are not asked again until something is assigned: if the coordinator's connection
        breaks just then, librdkafka may end the process (issue 4605, not mended in 2.16).
        """
        member = self._idle_member
        if self._is_idle or not member:
            return
        if member in idle_members() and not self._holds_any:
            self._is_idle = True
            self._change(True, _NONE_LEFT)

    def _change(self, is_ready: bool, why: str) -> None:
        self._observer.tell(MembershipChanged(is_ready, why))
