"""Valid events by msgspec: the same as by pydantic, of classes that are known through and through."""

import json
from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

import pytest
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr, field_validator, model_validator

from features.flights.events import Boarding
from stream_app.compiled import PYTHON_ONLY, compiled_module
from stream_app.features.events import Event, JsonDecoder, LogRecord, Moment
from tests.fuzz.fast_json import DECODERS, check

pytestmark = pytest.mark.skipif(
    compiled_module("events") is None, reason="nothing is compiled here"
)

NOON = "2013-12-01T12:00:00Z"


def test_values_of_all_kinds_have_the_same_outcome_both_ways() -> None:
    """Refusals with reason, field and words; events with values, types, order and fields set."""
    outcomes = check(12_000, seed=20)
    assert outcomes["valid"] > 500
    assert {
        "invalid-json",
        "invalid-utf8",
        "out-of-range",
        "wrong-type",
        "bad-time",
    } <= outcomes.keys()


class Reserved(Event):
    """With what an author may add."""

    seats: int = 1

    @property
    def is_group(self) -> bool:
        """Whether it is for many."""
        return self.seats > 5


def test_an_event_is_a_real_one_of_its_class() -> None:
    """With its properties, as a pydantic model that can be copied, changed, compared and written."""
    payload = json.dumps({"event_id": "r", "event_time": NOON, "seats": 6}).encode()
    decoder = JsonDecoder(Reserved)
    assert decoder._fast(payload) is not None
    event = decoder(LogRecord(payload))
    assert isinstance(event, Reserved)
    assert event.is_group
    assert event == Reserved.model_validate_json(payload)
    assert event.model_copy(update={"seats": 2}) != event
    event.seats = 7
    assert event.model_dump()["seats"] == 7
    assert event.model_fields_set == {"event_id", "event_time", "seats"}
    event.later = 1  # type: ignore[attr-defined]
    assert event.model_extra == {"later": 1}


def test_two_events_share_nothing_that_can_be_changed() -> None:
    """Neither the unknown fields nor the names of those that were set."""
    payload = json.dumps({"event_id": "r", "event_time": NOON}).encode()
    decode = JsonDecoder(Reserved)
    one, other = decode(LogRecord(payload)), decode(LogRecord(payload))
    assert isinstance(one, Reserved)
    assert isinstance(other, Reserved)
    one.seats = 9
    one.more = 1  # type: ignore[attr-defined]
    assert (other.seats, other.model_extra, other.model_fields_set) == (
        1, {}, {"event_id", "event_time"},
    )  # fmt: skip


class Inner(BaseModel):
    """A model of its own."""

    x: int


def of(annotation: Any, default: Any = ...) -> type[Event]:
    """An event class with one field more."""
    if default is ...:
        return type(
            "Made", (Event,), {"__annotations__": {"field": annotation}, "__module__": __name__}
        )
    return type(
        "Made", (Event,),
        {"__annotations__": {"field": annotation}, "field": default, "__module__": __name__},
    )  # fmt: skip


class Checked(Event):
    """With a validator."""

    x: int

    @field_validator("x")
    @classmethod
    def even(cls, value: int) -> int:
        """Lets anything pass."""
        return value


class Whole(Event):
    """With a validator of the model."""

    @model_validator(mode="after")
    def all_of_it(self) -> "Whole":
        """Lets anything pass."""
        return self


class Lenient(Event):
    """With a configuration."""

    model_config = ConfigDict(strict=False)


class Private(Event):
    """With what pydantic makes after validation."""

    _cache: dict[str, int] = PrivateAttr(default_factory=dict)


class Begun(Event):
    """With an end of its construction."""

    def model_post_init(self, _: Any) -> None:
        """Does nothing."""


class Initialized(Event):
    """With a constructor."""

    def __init__(self, **fields: Any) -> None:
        super().__init__(**fields)


class Created(Event):
    """With a `__new__`."""

    def __new__(cls, *_: Any, **__: Any) -> "Created":
        """As usual."""
        return super().__new__(cls)


@pytest.mark.parametrize(
    ("contract", "why"),
    [
        (of(Annotated[str, Field(pattern="^a")]), "field field says pattern"),
        (of(Annotated[int, Field(multiple_of=2)]), "field field says multiple_of"),
        (of(Annotated[int, Field(strict=False)]), "field field says strict"),
        (of(Annotated[float, Field(allow_inf_nan=True)]), "field field says allow_inf_nan"),
        (of(Annotated[int, Field(alias="other")]), "field field says validation_alias"),
        (of(Annotated[int, Field(le=2**70)]), "64"),
        (of(list[int]), "field field is validated by list"),
        (of(list[int], []), "field field is validated by list"),
        (of(UUID), "field field is validated by uuid"),
        (of(datetime), "field field is validated by datetime"),
        (of(int | str), "field field is validated by union"),
        (of(Literal[1, "a"]), "field field allows values that are no texts"),
        (of(Inner), "field field"),
        (of(Any), "field field is validated by any"),
        (of(Annotated[int, Field(default_factory=int)]), "field field says default_factory"),
        (of(Annotated[int, Field(validate_default=True)], 3), "field field says validate_default"),
        (Checked, "field x has a validator of its own"),
        (Whole, "the class is validated by function-after"),
        (Lenient, "the class has a model_config of its own"),
        (Private, "the class says post_init"),
        (Begun, "the class says post_init"),
        (Initialized, "the class says custom_init"),
        (Created, "the class has a __new__ of its own"),
    ],
)  # fmt: skip
def test_what_is_not_known_through_and_through_is_left_to_pydantic(
    contract: type[Event], why: str
) -> None:
    """And the reason names the field and what it is about."""
    decoder = JsonDecoder(contract)
    assert why in (decoder.why_pydantic or "")
    assert decoder._fast(b'{"event_id":"e","event_time":"2013-12-01T12:00:00Z","field":1}') is None


def test_unknown_fields_and_refusals_are_left_to_pydantic() -> None:
    """It keeps the ones, and explains the others."""
    decoder = JsonDecoder(Boarding)
    assert decoder.why_pydantic is None
    for payload in (b"{}", b"", b"null", b"{", b'{"event_id":"e"}'):
        assert decoder._fast(payload) is None
    payload = json.dumps({"event_id": "r", "event_time": NOON, "unknown": [1]}).encode()
    event = JsonDecoder(Reserved)(LogRecord(payload))
    assert event is not None
    assert event.model_extra == {"unknown": [1]}


def test_a_moment_of_another_make_is_not_taken_for_one() -> None:
    """The schema of a moment is compared as a whole."""

    class Later(Event):
        at: Annotated[Moment, Field(gt=0.0)]

    assert JsonDecoder(Later).why_pydantic is not None


def test_where_nothing_is_compiled_pydantic_decodes(monkeypatch: pytest.MonkeyPatch) -> None:
    """There, the other way would be no shorter."""
    monkeypatch.setenv(PYTHON_ONLY, "1")
    assert "nothing is compiled" in (JsonDecoder(Boarding).why_pydantic or "")


def test_a_check_can_say_which_way_each_type_takes() -> None:
    """By decoder; a union is decoded as one."""
    assert [why for decoder in DECODERS for _, why in decoder.ways()] == [None] * 7
