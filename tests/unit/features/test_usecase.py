"""A use case says little, and is refused where it cannot work."""

from typing import Annotated, Any

import pytest
from pydantic import Field

from stream_app.features.answer import per_batch
from stream_app.features.usecase import Prediction, UseCase
from tests.unit.builders import use_case


class Scored(Prediction):
    """One field of its own."""

    score: float


def test_the_topics_out_are_named_after_the_use_case() -> None:
    """Unless it names them."""
    made = use_case(Scored)
    assert (made.predictions_topic, made.dead_letters_topic) == (
        "case.predictions", "case.dead-letters",
    )  # fmt: skip
    named = UseCase(
        name="case", topics=(), features=made.features, prediction=Scored, champion="c",
        predictions_topic="mine", dead_letters_topic="bad",
    )  # fmt: skip
    assert (named.predictions_topic, named.dead_letters_topic) == ("mine", "bad")


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        (lambda outputs, decision: {}, r"\(event, row, outputs, decision\): too many positional"),
        (per_batch(lambda outputs: []), r"\(events, rows, outputs, decision\): too many"),  # type: ignore[arg-type,misc]
        (lambda event, row, outputs, decision, more: {}, "missing a required argument: 'more'"),
    ],
)
def test_an_answer_of_other_arguments_is_refused(answer: Any, told: str) -> None:
    """Before the first record, with what it is called with."""
    with pytest.raises(ValueError, match=told):
        use_case(Scored, answer)


def test_a_name_of_the_application_that_could_be_refused_is_refused() -> None:
    """The worker puts it there, whatever it is."""

    class Narrow(Prediction):
        application: Annotated[str, Field(max_length=3)]

    with pytest.raises(ValueError, match=r"Narrow\.application has to be a plain str"):
        use_case(Narrow)
