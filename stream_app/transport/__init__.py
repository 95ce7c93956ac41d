"""Kafka's side of the worker: the client thread and the Faust driver over it."""
