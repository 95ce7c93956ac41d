"""Where states live between batches: one contract, kept by memory and by Redis."""

from features.stores.contract import (
    Progress,
    Source,
    StateLostError,
    StateWrite,
    Store,
    StoreMismatchError,
    StoreRefusedError,
    StoreUnavailableError,
)
from features.stores.memory import MemoryStore

__all__ = [
    "MemoryStore",
    "Progress",
    "Source",
    "StateLostError",
    "StateWrite",
    "Store",
    "StoreMismatchError",
    "StoreRefusedError",
    "StoreUnavailableError",
]
