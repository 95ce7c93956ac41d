"""What a change of a use case breaks, and for whom."""

import json
from dataclasses import replace
from pathlib import Path
from typing import Annotated, Any, Literal

import pytest
from pydantic import Field

from features.flights import usecase as flights
from stream_app import (
    Event,
    InputTopic,
    JsonDecoder,
    Prediction,
    UseCase,
    from_header,
    from_key,
    from_timestamp,
)
from stream_app.contract.asyncapi import asyncapi_document
from stream_app.contract.comparison import changes
from stream_app.contract.topics import KAFKA, Contract, by_name, topic_contracts
from stream_app.contract.written import read_contracts
from stream_app.errors import ConfigurationError


class Sold(Event):
    kind: Literal["sold"] = "sold"
    shop: str
    pieces: Annotated[int, Field(ge=1, le=100)]
    note: str | None = None


class Returned(Event):
    kind: Literal["returned"] = "returned"
    shop: str


class Answer(Prediction):
    score: Annotated[float, Field(ge=0.0, le=1.0)]
    mood: Literal["good", "bad"]
    parts: dict[str, float]


def sales(event: Any = Sold, answer: type[Prediction] = Answer, **more: Any) -> UseCase:
    """A use case with one topic of events; only its contracts matter."""
    topics = (InputTopic("sales", JsonDecoder(event)),)
    given = {"topics": topics, "prediction": answer, "predictions_topic": "answers"} | more
    return replace(flights, **given)


def told(new: UseCase, old: UseCase | None = None) -> dict[str, str | None]:
    """Each change, and whom it breaks."""
    found = changes(topic_contracts(old or sales()), topic_contracts(new))
    return {f"{change.topic}: {change.what}": change.breaks for change in found}


def event(**fields: Any) -> Any:
    """The event type with other fields; None takes one away."""
    return _changed(Sold, Event, fields)


def answer(**fields: Any) -> Any:
    """The prediction with other fields; None takes one away."""
    return _changed(Answer, Prediction, fields)


def _changed(kind: type, base: type, fields: dict[str, Any]) -> Any:
    annotations = dict(kind.__annotations__)
    defaults = {"kind": "sold", "note": None} if kind is Sold else {}
    for name, annotation in fields.items():
        defaults.pop(name, None)
        if annotation is None:
            del annotations[name]
        else:
            annotations[name] = annotation
    body = {"__annotations__": annotations, "__module__": __name__, **defaults}
    return type(kind.__name__, (base,), body)


def test_nothing_has_changed_where_nothing_has_changed() -> None:
    """Also where the classes were made anew."""
    assert told(sales(event(), answer())) == {}


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (event(till=int), "till is new and required"),
        (event(note=str | None), "note is required now"),
        (event(shop=int), "shop: type was string, is integer"),
        (event(note=str), "note: type was string or null, is string"),
        (
            event(pieces=Annotated[int, Field(ge=2, le=100)]),
            "pieces: minimum was 1, is 2",
        ),
        (event(pieces=Annotated[int, Field(gt=1, le=100)]), "pieces: exclusiveMinimum was 1, is 1, excluded"),
        (event(shop=Annotated[str, Field(max_length=8)]), "shop: maxLength was free, is 8"),
        (event(shop=Annotated[str, Field(pattern="^s")]), "shop: pattern was free, is ^s"),
        (event(kind=Literal["sale"]), "kind: values was sold, is sale"),
    ],
)  # fmt: skip
def test_what_an_event_must_be_more_than_before_breaks_producers(new: Any, what: str) -> None:
    """Their events of yesterday would be dead letters."""
    assert told(sales(new))[f"sales: {what}"] == "producers"


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (event(till=int | None), None),
        (event(note=None), "note is gone"),
        (event(pieces=Annotated[int, Field(ge=0, le=100)]), "pieces: minimum was 1, is 0"),
        (event(pieces=Annotated[float, Field(ge=1, le=100)]), "pieces: type was integer, is number"),
        (event(shop=str | None), "shop: type was string, is string or null"),
    ],
)  # fmt: skip
def test_what_an_event_may_be_more_than_before_breaks_nobody(new: Any, what: str | None) -> None:
    """It is told all the same; a field that may be absent must have a default."""
    if what is None:
        new.model_fields["till"].default = None
        new.model_rebuild(force=True)
        what = "till is new"
    assert told(sales(new)) == {f"sales: {what}": None}


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (answer(mood=None), "mood is gone"),
        (answer(score=str), "score: type was number, is string"),
        (answer(score=Annotated[float, Field(ge=0.0, le=2.0)]), "score: maximum was 1.0, is 2.0"),
        (answer(score=Annotated[float | None, Field(ge=0.0, le=1.0)]), "score: type was number, is number or null"),
        (answer(mood=Literal["good", "bad", "odd"]), "mood: values was good, bad, is good, bad, odd"),
        (answer(mood=str), "mood: values was good, bad, is any"),
        (answer(parts=dict[str, float | None]), "parts.*: type was number, is number or null"),
    ],
)  # fmt: skip
def test_what_was_not_promised_before_breaks_consumers(new: Any, what: str) -> None:
    """They would meet what they were told could not be."""
    assert told(sales(answer=new))[f"answers: {what}"] == "consumers"


@pytest.mark.parametrize(
    ("new", "what"),
    [
        (answer(why=list[str]), "why is new"),
        (answer(score=Annotated[float, Field(ge=0.5, le=1.0)]), "score: minimum was 0.0, is 0.5"),
        (answer(mood=Literal["good"]), "mood: values was good, bad, is good"),
    ],
)
def test_what_is_promised_besides_breaks_nobody(new: Any, what: str) -> None:
    """Consumers let pass what they do not know."""
    assert told(sales(answer=new)) == {f"answers: {what}": None}


def test_topics_that_are_renamed_come_or_go_are_told() -> None:
    """A renamed one is the one with the same event."""
    renamed = replace(sales(), topics=(InputTopic("sold", JsonDecoder(Sold)),))
    assert told(renamed) == {"sales: the topic is called sold now": "producers"}
    more = replace(sales(), topics=(*sales().topics, InputTopic("back", JsonDecoder(Returned))))
    assert told(more) == {"back: the topic is read now": None}
    assert told(sales(), more) == {"back: the topic is not read any more": "producers"}
    moved = {"predictions_topic": "scores", "dead_letters_topic": "dead"}
    assert told(sales(**moved)) == {
        "answers: the topic is called scores now": "consumers",
        "flights.dead-letters: the topic is called dead now": "consumers",
    }


def test_a_type_that_a_union_has_no_more_breaks_its_producers() -> None:
    """One that comes breaks nobody."""
    both = sales(Annotated[Sold | Returned, Field(discriminator="kind")])
    one = sales(Annotated[Sold, Field()])
    assert told(one, both) == {"sales: the value: type was Sold or Returned, is Sold": "producers"}
    assert told(both, one) == {"sales: the value: type was Sold, is Sold or Returned": None}


def test_partitions_and_keys_are_compared() -> None:
    """Other partitions move keys; a key that must be there breaks whoever gives none."""
    wider = replace(sales(), topics=(InputTopic("sales", JsonDecoder(Sold), partitions=16),))
    assert told(wider) == {"sales: partitions were 8, are 16: keys move to others": None}
    old = topic_contracts(sales())
    keyed = dict(old[0]) | {KAFKA: {**old[0][KAFKA], "key": {"type": "string"}}}
    (found,) = changes(old, [keyed, *old[1:]])
    assert (found.breaks, found.what) == (
        "producers",
        "key: type was string or null, is string",
    )


class Login(Event, id_from=from_header("login-id"), time_from=from_timestamp()):
    card: int


class Gone(Event, id_from=from_key(), time_from=from_timestamp()):
    pass


def test_what_an_event_takes_of_its_record_is_in_the_contract_and_compared() -> None:
    """Its header is required; a key that is an id has to be there."""
    login, gone = (topic_contracts(sales(kind))[0][KAFKA] for kind in (Login, Gone))
    assert login["headers"]["required"] == ["login-id"]
    assert login["timestamp"].startswith("The event_time of Login. ")
    assert gone["key"]["description"].startswith("The event_id of Gone. ")

    class Before(Event):
        card: int

    after = type("Before", (Login,), {"__module__": __name__})
    assert told(sales(after), sales(Before))["sales: header login-id is new and required"] == (
        "producers"
    )


def test_a_record_without_a_value_may_be_an_event() -> None:
    """Where it is none any more, those who delete so are broken."""
    plain = sales()
    deletes = replace(plain, topics=(InputTopic("sales", Sold, tombstones=Gone),))
    what = "sales: a record without a value"
    assert told(deletes, plain)[f"{what} is the event Gone now"] is None
    assert told(plain, deletes)[f"{what} is no event any more"] == "producers"


def test_what_breaks_somebody_comes_first() -> None:
    """The reader of a log of CI sees it."""
    new = sales(event(note=None, till=int), answer(why=str))
    assert list(told(new).values()) == ["producers", None, None]


def written(of: UseCase, form: str, at: Path) -> Path:
    """The contracts of a use case in one of the forms that they are written in."""
    contracts = topic_contracts(of)
    documents: dict[str, Any] = {
        "asyncapi": asyncapi_document(contracts, title="t", version="1", group="g"),
        "one object": by_name(contracts),
    }
    if form == "folder":
        for name, contract in by_name(contracts).items():
            (at / f"{name}.schema.json").write_text(json.dumps(contract))
        return at
    (at / "file.json").write_text(json.dumps(documents[form]))
    return at / "file.json"


@pytest.mark.parametrize("form", ["asyncapi", "one object", "folder"])
def test_a_written_contract_is_read_as_it_was(form: str, tmp_path: Path) -> None:
    """Whatever it was written as: no change is found, and a change is found in the same words."""
    union = sales(Annotated[Sold | Returned, Field(discriminator="kind")])
    deletes = replace(sales(), topics=(InputTopic("sales", Sold, tombstones=Gone),))
    for number, of in enumerate((sales(), union, deletes, sales(dead_letters_topic="answers"))):
        folder = tmp_path / str(number)
        folder.mkdir()
        old = read_contracts(written(of, form, folder))
        assert changes(old, topic_contracts(of)) == []
    old = read_contracts(written(sales(), form, tmp_path))
    new = sales(event(till=int), answer(mood=None))
    assert sorted(changes(old, topic_contracts(new)), key=str) == sorted(
        changes(topic_contracts(sales()), topic_contracts(new)), key=str
    )


@pytest.mark.parametrize(
    "content", ["", "[]", "{}", "1", '{"a": 1}', '{"asyncapi": "3.0.0"}', '{"x": {"x-kafka": {}}}']
)
def test_a_file_that_is_no_contract_is_refused_with_what_to_give(
    content: str, tmp_path: Path
) -> None:
    """Whatever it holds."""
    (tmp_path / "old.json").write_text(content)
    with pytest.raises(ConfigurationError, match=r"old\.json"):
        read_contracts(tmp_path / "old.json")


def test_a_folder_without_contracts_is_refused(tmp_path: Path) -> None:
    """Nothing to compare with is no success."""
    with pytest.raises(ConfigurationError, match=r"schema\.json"):
        read_contracts(tmp_path)


def test_a_single_schema_is_compared_with_its_topic_alone(tmp_path: Path) -> None:
    """The other topics are not new."""
    old: Contract = topic_contracts(sales())[1]
    (tmp_path / "answers.schema.json").write_text(json.dumps(old))
    read = read_contracts(tmp_path / "answers.schema.json")
    assert changes(read, topic_contracts(sales())) == []
    (found,) = changes(read, topic_contracts(sales(answer=answer(mood=None))))
    assert found.what == "mood is gone"
