"""Streaming inference on Kafka: events in, predictions out, nothing lost."""

__version__ = "0.1.0"
