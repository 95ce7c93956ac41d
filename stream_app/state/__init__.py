"""The state of entities: in memory while batches are unfinished, else in the store."""
