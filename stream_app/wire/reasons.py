"""The catalogue of reasons: why a record became a dead letter, or why a fallback served it.

Each says what it means and what a person does about it; `docs/reasons.md` is made of it. Reasons stand
in the header `dead-letter.reason`, in the field `degraded` of predictions, and in labels of metrics.

The code that finds a failure chooses its reason and notes both in a `Failure`; `dead_letter` writes
what is noted. The files that choose, and what:

    records/headers.py             invalid-headers, too-many-headers
    features/events/explain.py     not-an-object, wrong-event-type, missing-field, wrong-type,
                                   out-of-range, not-finite, bad-format, bad-time, invalid-field
    features/events/json_decoder.py    invalid-utf8, invalid-json, nesting-too-deep, framed-value
    features/events/record_fields.py   missing-field, bad-format, bad-time, out-of-range
    features/events/header_decoder.py  missing-field, wrong-event-type
    features/events/cloudevents.py     missing-field, bad-format, wrong-event-type
    decoders/framed.py             not-framed, schema-mismatch
    decoders/registry.py           unknown-schema
    decoders/protobuf.py           wrong-event-type
    predictor/decode.py            tombstone, empty-value, value-too-large, decoder-error, not-an-event,
                                   invalid-event
    predictor/lateness.py          time-out-of-range
    features/engine/evaluation.py  feature-error, invalid-key, invalid-update
    features/engine/plans.py       column-error, apply-error
    features/engine/careful.py     apply-error, state-overflow
    predictor/enrich.py            invalid-update, state-rebuilding
    predictor/score.py             model-error, non-finite-score, invalid-column, answer-error,
                                   invalid-answer, unscorable
    wire/prediction.py             unencodable-answer
    delivery/refusals.py           prediction-refused
    crash_isolation/trial.py       process-crash, process-hang

A decoder of the use case's own may give other reasons, with `InvalidEventError`.
"""

from __future__ import annotations

from typing import Final, NamedTuple

__all__ = ["OTHER", "REASONS", "Reason", "label"]

#: Stands for reasons that a use case's own decoder made up, in labels of metrics.
OTHER: Final = "other"


class Reason(NamedTuple):
    """One reason; `producer`, `operator` and `replay` are sentences."""

    code: str
    stages: tuple[str, ...]
    """Where it is found."""
    disposition: str
    """Of the dead letter: `poison` where the record is to blame, `bug` where code is; empty where
    there is never a dead letter for it."""
    meaning: str
    producer: str
    """What a producer of events does about it."""
    operator: str
    """What whoever runs the worker does about it."""
    replay: str
    """Whether it helps to publish the record of the dead letter again."""
    degrades: bool = False
    """Whether `degraded` of a prediction that a fallback served says it."""


_NOTHING: Final = "Nothing: the event is not to blame."
_TELL: Final = (
    "Tell the producer. If the event is right and the contract is wrong, mend the contract."
)
_ONLY_CONTRACT: Final = (
    "Only if the contract was wrong and has been mended. Else the producer sends a mended event."
)
_NEVER: Final = "No: there is nothing in it to replay."
_MEND: Final = "Mend the use case; the message names the function, the file and the line."
_MENDED: Final = "Yes, once the use case has been mended."
_NEVER_A_LETTER: Final = "Not needed: the record has its prediction."


def _event(code: str, meaning: str, producer: str) -> Reason:
    """A reason for which an event breaks the contract of its topic."""
    return Reason(code, ("decode",), "poison", meaning, producer, _TELL, _ONLY_CONTRACT)


def _use_case(code: str, stage: str, meaning: str, producer: str = _NOTHING) -> Reason:
    """A reason for which code of the use case is to blame."""
    return Reason(code, (stage,), "bug", meaning, producer, _MEND, _MENDED)


_ALL: Final = (
    # The record around the event.
    Reason(
        "invalid-headers", ("decode",), "poison",
        "the record's headers cannot be read",
        "Give every header a name that is UTF-8, then send the event again.",
        "Tell the producer.",
        "Yes, where the header whose name is lost is not needed: in the letter it is `unreadable-header`.",
    ),
    Reason(
        "too-many-headers", ("decode",), "poison",
        "the record has more headers than a worker holds",
        "Send at most 1,024 headers; look for what adds one at each hop.",
        "Tell the producer.",
        "Only without some of the letter's headers: it has 1,024 of them, and a replay adds four.",
    ),
    Reason(
        "tombstone", ("decode",), "poison",
        "the record has no value, and the topic declares no event for that",
        "Send no record without a value, or have the use case declare what it means (`tombstones`).",
        "Tell the producer.", _NEVER,
    ),
    Reason(
        "empty-value", ("decode",), "poison",
        "the value has no bytes",
        "Send the event as its contract says.",
        "Tell the producer.", _NEVER,
    ),
    Reason(
        "value-too-large", ("decode",), "poison",
        "the value is larger than max_value_bytes",
        "Send less: put large parts elsewhere and send where they are.",
        "Tell the producer, or raise `max_value_bytes` where such events are wanted.",
        "Yes, once `max_value_bytes` has been raised.",
    ),
    # The bytes of the event.
    _event("invalid-utf8", "the value is not UTF-8", "Write the JSON in UTF-8."),
    _event("invalid-json", "the value is not a JSON document", "Send one JSON document a record."),
    _event(
        "framed-value",
        "the value looks as if a schema registry's serializer had written it, and plain JSON is declared",
        "Send plain JSON, or have the contract's decoder changed to one of a schema registry.",
    ),
    _event(
        "not-framed",
        "the value does not begin with the id of a schema, and a schema registry's framing is declared",
        "Write values with the serializer of the schema registry that the contract names.",
    ),
    _event(
        "unknown-schema",
        "the schema registry does not know the schema that the value names",
        "Register the schema in the registry that the worker asks.",
    ),
    _event(
        "schema-mismatch",
        "the value cannot be read by the schema that it names",
        "Write the value with the schema whose id it carries.",
    ),
    _event(
        "nesting-too-deep", "the JSON document nests deeper than the parser allows",
        "Send a flatter document.",
    ),
    _event(
        "not-an-object", "the JSON document is not an object",
        "Send an object, `{...}`; where a field is to hold one, there too.",
    ),
    _event(
        "wrong-event-type", "the event is of a type that does not belong to this topic",
        "Send each type of event to its own topic, and spell the type as the contract does.",
    ),
    _event("missing-field", "a required field, key or header is absent", "Send what is named."),
    _event(
        "wrong-type", "a field has another JSON type than the contract says",
        "Send the field with the type of the contract: a number is not a text of digits.",
    ),
    _event(
        "out-of-range", "a value lies outside the range the contract allows",
        "Check the value of the field that is named, its unit first.",
    ),
    _event(
        "not-finite", "a number is NaN or infinite",
        "Send null where the contract allows it, or leave the field out, where a number is missing.",
    ),
    _event(
        "bad-format", "a text does not have the form the contract asks for, or is none of those it allows",
        "Write the field in the form of the contract.",
    ),
    _event(
        "bad-time", "a time is not RFC 3339 with an offset",
        "Write times like 2013-12-01T12:00:00Z: with date, time and offset.",
    ),
    _event(
        "invalid-field", "a field breaks another rule of the contract",
        "Follow the rule that the message tells.",
    ),
    Reason(
        "time-out-of-range", ("decode", "enrich"), "poison",
        "a time is too far from the clock to be believed",
        "Check the clock that the event's time comes from, and its unit and offset.",
        "Compare the clocks of producer and brokers. Where such times are right, widen the use case's "
        "`TimeBounds`.",
        "Yes, once `TimeBounds` has been widened, or once a time that lay ahead is near.",
    ),
    # A decoder of the use case's own.
    _use_case(
        "decoder-error", "decode", "the decoder raised an exception",
        "Check the event against its contract: the decoder may have met what it does not expect.",
    ),
    _use_case(
        "not-an-event", "decode",
        "the decoder gave something that is no stream_app.Event",
    ),
    _use_case(
        "invalid-event", "decode",
        "the decoder gave an event without an id or a time that can be used",
        "Check id and time of the event: the decoder may have passed on what it found.",
    ),
    # Functions of the feature declaration.
    _use_case(
        "feature-error", "enrich", "the key of an entity, an update or a row feature raised an exception; the message says which",
    ),
    _use_case(
        "invalid-key", "enrich", "the key of an entity is no integer, and no text that a store can keep",
        "Check the field that the key is made of: it may be 4,096 characters long, in UTF-8.",
    ),
    _use_case("invalid-update", "enrich", "an update is not what its kind of state takes"),
    _use_case("column-error", "enrich", "reading a column raised an exception"),
    _use_case("apply-error", "enrich", "taking an update into a state raised an exception"),
    _use_case(
        "state-overflow", "enrich", "a state cannot hold what the update makes of it",
        "Check the numbers of the event: one of them is beyond what a state can add up.",
    ),
    # The models.
    Reason(
        "model-error", ("score",), "",
        "the model raised an exception",
        _NOTHING,
        "Look for the cause: score the record's features offline with this model version.",
        _NEVER_A_LETTER, degrades=True,
    ),
    Reason(
        "non-finite-score", ("score",), "",
        "the model's output is NaN or infinite",
        _NOTHING,
        "Find the feature that the model cannot work with, and train a version that can.",
        _NEVER_A_LETTER, degrades=True,
    ),
    Reason(
        "state-rebuilding", ("enrich",), "",
        "the state is being rebuilt from the log, so that the champion would read too little of it",
        _NOTHING,
        "Wait until `stream_app_rebuilding_partitions` is 0. If Redis lost data, find out why. "
        '`while_rebuilding = "wait"` lets records wait instead.',
        _NEVER_A_LETTER, degrades=True,
    ),
    Reason(
        "unscorable", ("score",), "bug",
        "neither the champion nor a fallback could score the record, or their outputs were not finite",
        _NOTHING,
        "The message says what the champion did. Mend or replace the model, or declare a fallback that "
        "answers for every event.",
        "Yes, once a model can answer; its updates are in the state already and are not applied again.",
    ),
    Reason(
        "invalid-column", ("score",), "bug",
        "a column holds what its dtype cannot hold",
        _NOTHING, "Mend the function that makes the column; the message names it, its file and line.",
        _MENDED, degrades=True,
    ),
    Reason(
        "answer-error", ("score",), "bug",
        "the use case's function `answer` raised an exception, or gave no answer",
        _NOTHING, "Mend the function `answer` of the use case; the message names file and line.",
        _MENDED, degrades=True,
    ),
    Reason(
        "invalid-answer", ("score",), "bug",
        "the answer breaks the contract of the predictions",
        _NOTHING, "Mend the function `answer` of the use case, or the contract.",
        _MENDED, degrades=True,
    ),
    # What goes out.
    Reason(
        "unencodable-answer", ("publish",), "bug",
        "the answer cannot be written as JSON",
        _NOTHING, "Mend the function `answer` of the use case; the message names the field.",
        _MENDED,
    ),
    Reason(
        "prediction-refused", ("publish",), "bug",
        "the brokers refuse the prediction, also without headers and alone",
        "Nothing, unless the event's key or id is very long.",
        "Raise `max.message.bytes` of the predictions topic, or let the use case answer less; give events "
        "keys where the predictions topic is compacted.",
        "Yes, once the topic takes the prediction.",
    ),
    # Found in a child process.
    Reason(
        "process-crash", ("decode", "enrich", "score"), "bug",
        "the record ends the process that works on it",
        "Check whether the event is unusually large or deep.",
        "Run the record through the use case alone, and look for native code that crashes or takes all "
        "memory.",
        "Yes, once what crashed has been mended. Not before: the worker would be ended again.",
    ),
    Reason(
        "process-hang", ("decode", "enrich", "score"), "bug",
        "the record keeps the process that works on it for too long",
        "Check whether the event is unusually large or deep.",
        "Run the record through the use case alone, and look for what takes so long; "
        "`work_deadline_seconds` is the limit.",
        "Yes, once it is fast enough. Not before: the worker would stand still again.",
    ),
)  # fmt: skip

#: Every reason of the worker by its code.
REASONS: Final = {reason.code: reason for reason in _ALL}


def label(reason: str) -> str:
    """The reason as a metric's label: no text from outside may become one."""
    return reason if reason in REASONS else OTHER
