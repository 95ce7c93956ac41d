"""Where states live between batches: one contract, kept by memory and by Redis."""

from stream_app.features.stores.contract import (
    Progress,
    Source,
    StateLostError,
    StateWrite,
    Store,
    StoreMismatchError,
    StoreRefusedError,
    StoreUnavailableError,
)
from stream_app.features.stores.memory import MemoryStore

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
