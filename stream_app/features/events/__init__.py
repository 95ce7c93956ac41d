"""Events as they come: the base of every event contract, and how a record becomes one.

A use case declares one pydantic model per event type, derived from `Event`. A `Decoder` is given a
record and answers with an event, or with None where the record is none of the use case's; it raises
`InvalidEventError`, which says what was wrong in terms a producer understands and never quotes the
payload, or `ServiceAwayError` where it has to ask a service that does not answer.
"""

from stream_app.features.events.decoder import Decoder, EventDecoder
from stream_app.features.events.event import Event
from stream_app.features.events.invalid import InvalidEventError
from stream_app.features.events.json_decoder import JsonDecoder
from stream_app.features.events.message import LogRecord, Message
from stream_app.features.events.moments import EpochMilliseconds, EpochSeconds, Moment
from stream_app.features.events.record_fields import from_header, from_key, from_timestamp

__all__ = [
    "Decoder",
    "EpochMilliseconds",
    "EpochSeconds",
    "Event",
    "EventDecoder",
    "InvalidEventError",
    "JsonDecoder",
    "LogRecord",
    "Message",
    "Moment",
    "from_header",
    "from_key",
    "from_timestamp",
]  # fmt: skip
