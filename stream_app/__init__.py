"""Streaming inference on Kafka."""
