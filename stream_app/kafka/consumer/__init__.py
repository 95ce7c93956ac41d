"""The thread that owns the Kafka consumer, and what is done on it."""
