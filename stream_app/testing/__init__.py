"""A use case tried without Kafka and Redis: the real pipeline over topics and a store in memory."""

from stream_app.testing.in_memory import rehearse
from stream_app.testing.rehearsal import Rehearsal
from stream_app.testing.seen import Answer, Refusal, Seen, StateSeen
from stream_app.testing.sent import Sent
from stream_app.testing.topics import MemoryTopics, Message
from stream_app.testing.validation import Invalid, validate

__all__ = [
    "Answer", "Invalid", "MemoryTopics", "Message", "Refusal", "Rehearsal", "Seen", "Sent", "StateSeen",
    "rehearse", "validate",
]  # fmt: skip
