"""Why records are dead-lettered: every reason code of the worker, with what it tells a person.

What is wrong with the bytes of an event is told by `stream_app.features.events.REASONS`; here is the rest.
"""

from __future__ import annotations

from typing import Final

from stream_app.features.events import REASONS as EVENT_REASONS

__all__ = ["OTHER", "REASONS", "label"]

#: Stands for reasons that a use case's own decoder made up, in labels of metrics.
OTHER: Final = "other"

REASONS: Final[dict[str, str]] = {
    **EVENT_REASONS,
    # decode: the record around the event
    "invalid-headers": "the record's headers cannot be read",
    "too-many-headers": "the record has more headers than a worker holds",
    # decode: an own decoder
    "decoder-error": "the decoder raised an exception",
    "not-an-event": "the decoder gave something that is no stream_app.Event",
    "invalid-event": "the decoder gave an event without an id or a time that can be used",
    # enrich: functions of the feature declaration
    "feature-error": "a function of the feature declaration raised an exception",
    "invalid-key": "the key of an entity is not a text that a store can keep",
    "invalid-update": "an update is not what its kind of state takes",
    "column-error": "reading a column raised an exception",
    "apply-error": "taking an update into a state raised an exception",
    "state-overflow": "a state cannot hold what the update makes of it",
    # score
    "unscorable": "neither the champion nor a fallback gave a finite answer",
    "fields-error": "making the answer of the model's outputs raised an exception",
    "invalid-answer": "the answer breaks the contract of the predictions",
    # publish
    "unencodable-answer": "the answer cannot be written as JSON",
    "prediction-refused": "the brokers refuse the prediction, also without headers and alone",
    # found in a child process
    "process-crash": "the record ends the process that works on it",
    "process-hang": "the record keeps the process that works on it for too long",
}


def label(reason: str) -> str:
    """The reason as a metric's label: no text from outside may become one."""
    return reason if reason in REASONS else OTHER
