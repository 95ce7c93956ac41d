"""What a test does to a store in memory that no worker may: look at all of it, and lose some."""

from stream_app.features.stores import MemoryStore

__all__ = ["lose_everything", "lose_marks", "lose_states", "states_of"]


def states_of(store: MemoryStore) -> list[dict[str, bytes]]:
    """The packed states of each view, by entity."""
    return store._states


def lose_states(store: MemoryStore) -> None:
    """The states are gone, the marks are not."""
    for states in store._states:
        states.clear()


def lose_marks(store: MemoryStore) -> None:
    """The marks are gone, the states are not."""
    for marks in store._marks:
        marks.clear()


def lose_everything(store: MemoryStore) -> None:
    """FLUSHALL, but for the sources."""
    lose_states(store)
    lose_marks(store)
