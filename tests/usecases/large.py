"""The text classifier, whose answer is as large as its message asks for: `large 5000000`."""

import os
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from stream_app import FeatureSet, Outputs, Row, RowFeature, UseCase, per_batch
from tests.usecases import text
from tests.usecases.text import Ticket

__all__ = ["make_usecase", "train", "usecase"]

_wanted: list[int] = []
"""Sizes that the records of the batch asked for, in order."""


def _text(ticket: Ticket) -> str:
    word, _, size = ticket.text.partition(" ")
    _wanted.append(int(size) if word == "large" else 0)
    return ticket.text.lower()


@per_batch
def _answers(
    events: Sequence[Any], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    answers = [dict(answer) for answer in text._answers(events, rows, outputs, decision)]
    sizes, _wanted[:] = _wanted[:], []
    for answer, size in zip(answers, sizes, strict=False):  # none was asked for by golden rows
        if size:
            answer["label"] = random.randbytes(size // 2).hex()
    return answers


FEATURES = FeatureSet(
    row_features=(RowFeature("text", _text, "", "The message in lower case.", "string"),),
    triggers=(Ticket,),
)


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    return replace(text.make_usecase(suffix), features=FEATURES, answer=_answers)


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the model version that `usecase` serves: the classifier's."""
    text.train(artifacts, usecase)
