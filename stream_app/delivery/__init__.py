"""Publishing, at least once or exactly once, and what becomes of records that brokers refuse."""
