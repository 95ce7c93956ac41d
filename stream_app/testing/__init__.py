"""A use case tried without Kafka and Redis: the real pipeline over topics and a store in memory."""

from stream_app.testing.rehearsal import Rehearsal
from stream_app.testing.topics import MemoryTopics, Message

__all__ = ["MemoryTopics", "Message", "Rehearsal"]
