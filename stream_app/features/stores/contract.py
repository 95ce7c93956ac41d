"""What the engine asks of a store."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from stream_app.text.foreign import bounded

__all__ = [
    "Progress",
    "Source",
    "StateLostError",
    "StateWrite",
    "Store",
    "StoreMismatchError",
    "StoreRefusedError",
    "StoreUnavailableError",
    "another_cluster",
    "cluster_of",
]


class StoreUnavailableError(Exception):
    """The store cannot be reached or cannot serve now; the same call may succeed later."""


class StateLostError(Exception):
    """The store holds less than it acknowledged, or another generation has become the current one.

    What to do is the same: `reopen`, register the sources again, look at the `marks`, and apply
    again what is missing. The message says what was found and what was expected.
    """


class StoreMismatchError(Exception):
    """The store cannot be used as it was opened: address, rights, or what it was filled with.

    A person has to decide; the message says between what.
    """


class StoreRefusedError(Exception):
    """The store answers, and refuses; a person has to act, and the message says how."""

    def __init__(self, message: str, *, is_doubtful: bool = False) -> None:
        """`is_doubtful`: stores that start or fail over say so for a moment, too."""
        super().__init__(message)
        self.is_doubtful = is_doubtful


@dataclass(frozen=True, slots=True)
class Source:
    """A partition of one incarnation of a topic.

    A recreated or mirrored topic has another id, so that its offsets are not taken for those of
    its predecessor.
    """

    cluster_id: str
    topic_id: str
    partition: int

    def __str__(self) -> str:
        """The name it is registered under."""
        return f"{self.cluster_id}/{self.topic_id}/{self.partition}"


def cluster_of(sources: Sequence[Source]) -> str:
    """The one cluster that the sources are of; "" where there are none."""
    clusters = {source.cluster_id for source in sources}
    if len(clusters) > 1:
        raise another_cluster(*sorted(clusters)[:2])
    return clusters.pop() if clusters else ""


def another_cluster(found: str, given: str) -> StoreMismatchError:
    """The states are of the topics of another cluster."""
    return StoreMismatchError(
        f"the application's state is of the Kafka cluster {bounded(found)}, and bootstrap_servers leads "
        f"to the cluster {bounded(given)}: give `application` another name there, or, should that have "
        "replaced the other, build the state from its topics with `stream-app state rebuild`"
    )


class StateWrite(NamedTuple):
    """One state to replace: by view position and entity key."""

    # One is made of every state of every batch: a frozen dataclass takes twice the time.

    view: int
    entity: str
    expected: int
    """Version that was read; 0 where there was no state."""
    packed: bytes
    """The state with a version that no other write has."""


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a source is applied."""

    source: int
    expected: int
    """The mark that the store is known to hold; -1 where it is not known to hold one."""
    through: int
    """Offset that the source is applied through with this write."""


class Store(Protocol):
    """States by view and entity, the registry of sources, and progress marks.

    A mark says, for a view and a source, through which offset the states hold the source's records.
    It is written after the states, never goes back, and fences them: `read` and `write` compare
    the marks with those that the caller knows, on every node and in one step with the rest, and
    raise `StateLostError` where the store holds less.

    States and marks belong to a generation. One is the current one; `successor` begins the next
    beside it, which can be filled while the current one serves, and `activate` switches over.
    Sources belong to all generations.

    Every method raises `StoreUnavailableError` when the store is away, `StoreRefusedError` and
    `StoreMismatchError` when waiting would not help; calls may be repeated.
    """

    def check_access(self) -> None:
        """Reach the store and see that all it is needed for can be done there; changes nothing.

        Raises `StoreMismatchError` with all that is missing.
        """

    @property
    def generation(self) -> int:
        """Number of the generation whose states this store reads and writes; the first is 0."""

    def register(self, sources: Sequence[Source], *, adopt: bool = False) -> list[int]:
        """Give each source its small integer, the same for every worker and for ever.

        States are of the topics of one cluster: two that fed one application's states would count
        into each other's. Raises `StoreMismatchError` for sources of another one, unless `adopt`:
        then the generation that is activated next is of that cluster.
        """

    def read(
        self, wanted: Sequence[Collection[str]], progress: Sequence[Progress] = ()
    ) -> list[list[tuple[str, bytes]]]:
        """For each view, the (entity, packed state) pairs that exist among the wanted ones.

        Raises `StateLostError` if a mark is behind what `progress` expects; then what was read may
        lack what was acknowledged.
        """

    def write(
        self, writes: Sequence[StateWrite], progress: Sequence[Progress]
    ) -> list[tuple[StateWrite, bytes | None]]:
        """Compare and set; then note for every view the offset each source is applied through.

        Returns the writes that were lost, each with the present value. On a node where one was
        lost, the progress is not noted: it is with the call that writes the lost ones again.

        Raises `StateLostError` if a mark is behind what `progress` expects; nothing was written on
        the node that is behind.
        """

    def marks(self) -> list[dict[int, int]]:
        """For each view, the offset each source is applied through on every node."""

    def reopen(self) -> None:
        """Turn to the generation that is the current one now."""

    def successor(self) -> Store:
        """The generation after this one, emptied: a store that shares this one's connections.

        Only one may be filled at a time.
        """

    def activate(self) -> None:
        """Make this generation the current one; the stores of its predecessor lose their state.

        Raises `StateLostError` if neither it nor its predecessor is the current one.
        """

    def drop(self) -> None:
        """Delete this generation's states and marks; `ValueError` if it is the current one."""

    def close(self) -> None:
        """Let go of connections."""
