"""What the records that the worker publishes hold besides their values: keys, headers, timestamps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

__all__ = [
    "DEAD_LETTER_HEADERS", "PASSED_ON_KEY", "PREDICTION_HEADERS", "PUBLISHED_TIMESTAMP",
]  # fmt: skip

Schema = Mapping[str, Any]

PASSED_ON_KEY: Final[Schema] = {
    "type": ["string", "null"],
    "description": "The key of the event's record, byte for byte; none where that has none.",
}
PUBLISHED_TIMESTAMP: Final = (
    "When the record was published. It says nothing of the event: the time of that is in the value."
)

_OFFSET: Final = {"type": "string", "pattern": "^[0-9]+$"}
_RECORD_ID: Final = {"type": "string", "pattern": "^.+-[0-9]+-[0-9]+$"}


def _headers(about: str, required: Mapping[str, Any], optional: Mapping[str, Any]) -> Schema:
    return {
        "type": "object",
        "description": about,
        "properties": {**required, **optional},
        "required": list(required),
    }


def _described(description: str, **schema: Any) -> Mapping[str, Any]:
    return {"type": "string", **schema, "description": description}


PREDICTION_HEADERS: Final = _headers(
    "Those of the worker; the headers of the event's record follow them.",
    {
        "prediction-id": _described(
            "The field `prediction_id` of the value: who keeps one of each id counts none twice.",
            **_RECORD_ID,
        ),
        "source-topic": _described("The topic of the event's record."),
        "source-partition": _described("Its partition.", **_OFFSET),
        "source-offset": _described("Its offset.", **_OFFSET),
        "content-type": _described("What the value is.", const="application/json"),
    },
    {
        "state-ahead": _described(
            "The state that it was made from held its own event already, or later ones.",
            const="true",
        ),
        "replay-of": _described(
            "The record that the event's record repeats; only of a replay.", **_RECORD_ID
        ),
        "source-topic-id": _described("The id of the topic `source-topic`; only of a replay."),
    },
)

DEAD_LETTER_HEADERS: Final = _headers(
    "Those of the worker; they follow the headers that the record came with. Where a letter would be too "
    "large, `dead-letter.PART-omitted-bytes` and `dead-letter.PART-omitted-sha256` say what of it was "
    "left out: headers, key or value.",
    {
        "dead-letter.topic": _described("The topic of the record."),
        "dead-letter.topic-id": _described("The id of that topic; empty where it was not known."),
        "dead-letter.partition": _described("Its partition.", **_OFFSET),
        "dead-letter.offset": _described("Its offset.", **_OFFSET),
        "dead-letter.timestamp": _described("Its timestamp, RFC 3339; empty where it has none."),
        "dead-letter.group": _described("The consumer group of the worker."),
        "dead-letter.stage": _described("Where it failed: decode, enrich, score or publish."),
        "dead-letter.reason": _described("Why, as a code."),
        "dead-letter.message": _described("Why, as a sentence that does not quote the value."),
        "dead-letter.field": _described("The field that was wrong; empty where it was none."),
        "dead-letter.disposition": _described(
            "What is to blame: the record (poison) or code (bug).", enum=["poison", "bug"]
        ),
        "dead-letter.attempts": _described(
            "How often the record has become a dead letter, replays included.", **_OFFSET
        ),
        "dead-letter.code-version": _described("The version of stream-app."),
        "dead-letter.model-version": _described("NAME/VERSION of the champion."),
        "dead-letter.failed-at": _described("When it failed, RFC 3339."),
        "dead-letter.state": _described(
            "Whether the state has the record's updates already.", enum=["applied", "not-applied"]
        ),
    },
    {
        "dead-letter.producer": _described(
            "Who sent the record, where `producer_header` is set and a header of the record says so."
        ),
        "dead-letter.redacted": _described(
            "Where fields of the value were replaced by the text [redacted]: their paths, separated by "
            "commas; $ where the value was left out for them. No digest of the value is told then."
        ),
        "dead-letter.redacted-bytes": _described(
            "How many bytes the value had in which fields were replaced.", **_OFFSET
        ),
    },
)
