"""Where states live between batches: one contract, kept by memory and by Redis."""

from features.stores.contract import Source, StateWrite, Store, StoreUnavailableError
from features.stores.memory import MemoryStore

__all__ = ["MemoryStore", "Source", "StateWrite", "Store", "StoreUnavailableError"]
