"""Kinds of state: what an entity's state holds, how events update it, what columns read from it."""

from stream_app.features.kinds.contract import (
    EXPRESSION_NAMES,
    Apply,
    DecayedSums,
    Formula,
    InvalidUpdateError,
    LastValue,
    OpenItems,
    Read,
    State,
    Statements,
    StateOverflowError,
    Update,
    Values,
    plain_updates,
)

__all__ = [
    "EXPRESSION_NAMES", "Apply", "DecayedSums", "Formula", "InvalidUpdateError", "LastValue",
    "OpenItems", "Read", "State", "StateOverflowError", "Statements", "Update", "Values",
    "plain_updates",
]  # fmt: skip
