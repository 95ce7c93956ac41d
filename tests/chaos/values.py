"""What the answers say: a prediction or a dead letter that is there may still be worthless."""

import hashlib
from collections.abc import Mapping, Sequence

from pydantic import ValidationError

from stream_app.features.events import Event
from stream_app.features.usecase import Prediction
from stream_app.wire.dead_letter import DeadLetter, omitted
from stream_app.wire.headers import by_name
from tests.chaos.answers import header
from tests.integration.testbed import Place
from tests.integration.worker import Out

__all__ = ["broken_dead_letters", "broken_predictions", "shared_ids"]


def broken_predictions(
    answers: Mapping[Place, Sequence[Out]],
    records: Mapping[Place, Out],
    events: Mapping[Place, Event],
    topic_ids: Mapping[str, str],
    contract: type[Prediction],
) -> list[str]:
    """A sentence for each prediction that is not what its contract and its record say.

    `topic_ids`: by the topic of a place.
    """
    found = []
    for place, copies in answers.items():
        if place not in events:
            continue  # unexpected, and told as that
        for copy in copies:
            problem = _of_prediction(
                copy, place, records[place], events[place], topic_ids, contract
            )
            if problem:
                found.append(f"the prediction for {place} {problem}")
    return found


def _of_prediction(
    out: Out, place: Place, record: Out, event: Event, topic_ids: Mapping[str, str],
    contract: type[Prediction],
) -> str:  # fmt: skip
    if out.value is None:
        return "has no value"
    try:
        value = contract.model_validate_json(out.value)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        return f"breaks its contract: {first['loc']}: {first['msg']}"
    topic, partition, offset = place
    own = f"{topic_ids[topic]}-{partition}-{offset}"
    named = header(out, "prediction-id")
    if named != value.prediction_id:
        return f"has the id {named} in its header and {value.prediction_id} in its value"
    # Also of a record that claims to be another's replay: producers of events are not believed.
    if named != own:
        return f"has the id {named}, not {own}"
    if (value.event_id, value.event_time) != (event.event_id, event.event_time):
        return f"is of the event {value.event_id}, and there stands {event.event_id}"
    if out.key != record.key:
        return "has another key than its record"
    return ""


def shared_ids(answers: Mapping[Place, Sequence[Out]], events: Mapping[Place, Event]) -> list[str]:
    """Ids under which two records have predictions: whoever keeps one of each loses one."""
    holders: dict[str, set[Place]] = {}
    for place, copies in answers.items():
        for copy in copies:
            if place in events and (named := header(copy, "prediction-id")) is not None:
                holders.setdefault(named, set()).add(place)
    return [
        f"the id {named} is that of {len(places)} records: {sorted(places)[:3]}"
        for named, places in holders.items()
        if len(places) > 1
    ]


def broken_dead_letters(
    answers: Mapping[Place, Sequence[Out]], records: Mapping[Place, Out]
) -> list[str]:
    """A sentence for each dead letter that neither is its record nor says what was left out."""
    found = []
    for place, copies in answers.items():
        record = records.get(place)
        for copy in copies if record is not None else ():
            for what, has, had in (
                ("value", copy.value, record.value), ("key", copy.key, record.key),
            ):  # fmt: skip
                if has != had and not (has is None and _says_what_it_lacks(copy, what, had)):
                    found.append(f"the dead letter of {place} has another {what} than its record")
            if not DeadLetter.of(by_name(copy.headers)).reason:
                found.append(f"the dead letter of {place} says no reason")
    return found


def _says_what_it_lacks(out: Out, part: str, lacking: bytes | None) -> bool:
    """Whether headers of ours hold the length and the SHA-256 of what was left out."""
    data = lacking or b""
    try:
        found = omitted(by_name(out.headers), part)
    except ValueError:
        return False
    return found == (len(data), hashlib.sha256(data).digest())
