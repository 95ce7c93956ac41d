"""A use case without state: which queue does a customer's message belong to? Three classes.

The model is scikit-learn's, its input a tensor of strings. Nothing is remembered between events,
so no Redis is needed.
"""

import json
import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Annotated, Any

from pydantic import Field

from stream_app import (
    Event,
    FeatureSet,
    InputTopic,
    LogRecord,
    Outputs,
    Prediction,
    Row,
    RowFeature,
    UseCase,
    make_matrix,
    package,
    per_batch,
)
from tests.usecases.suffixes import suffixed

__all__ = ["CLASSES", "Routing", "Ticket", "make_usecase", "messages", "train", "usecase"]

#: In the order of the model's probabilities.
CLASSES = ("billing", "delivery", "praise")

_WORDS = {
    "billing": ("invoice", "refund", "charged", "twice", "price", "bill", "pay"),
    "delivery": ("parcel", "late", "courier", "lost", "arrived", "broken", "where"),
    "praise": ("thanks", "great", "lovely", "recommend", "happy", "perfect", "service"),
}
_FILLING = ("my", "the", "is", "was", "it", "please", "Hello", "order", "I")


class Ticket(Event):
    """A message of a customer; asks for the queue it belongs to."""

    text: Annotated[str, Field(max_length=10_000)]


class Routing(Prediction):
    """The queue, and how sure the model is of each."""

    label: str
    probabilities: dict[str, float]


FEATURES = FeatureSet(
    # Here and not in the graph: lowercasing there needs a locale that a slim image does not have.
    RowFeature("text", lambda e: e.text.lower(), "", "The message in lower case.", "string"),
    triggers=Ticket,
)


@per_batch
def _answers(
    events: Sequence[Any], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    classes = decision["classes"]
    return [
        {"label": label, "probabilities": dict(zip(classes, row, strict=True))}
        for label, row in zip(
            outputs["label"].tolist(), outputs["probabilities"].tolist(), strict=True
        )
    ]


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    return UseCase(
        name=suffixed("tickets", suffix),
        topics=(InputTopic(suffixed("tickets.written", suffix), Ticket, 2),),
        predictions_topic=suffixed("tickets.routed", suffix),
        dead_letters_topic=suffixed("tickets.dead-letters", suffix),
        features=FEATURES,
        prediction=Routing,
        answer=_answers,
        champion="tickets/1",
        output_partitions=2,
    )


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))
if "TEST_PREDICTIONS_TOPIC" in os.environ:
    usecase = replace(usecase, predictions_topic=os.environ["TEST_PREDICTIONS_TOPIC"])


def messages(count: int, seed: int = 7) -> list[tuple[str, str]]:
    """Messages with the queue they belong to."""
    rng = random.Random(seed)
    made = []
    for number in range(count):
        label = CLASSES[number % len(CLASSES)]
        words = rng.choices(_WORDS[label], k=3) + rng.choices(_FILLING, k=4)
        rng.shuffle(words)
        made.append((" ".join(words), label))
    return made


@cache
def _fitted() -> Any:
    """A forest over counts of words."""
    from sklearn.ensemble import RandomForestClassifier
    from sklearn.feature_extraction.text import CountVectorizer
    from sklearn.pipeline import make_pipeline

    texts, labels = zip(*messages(600), strict=True)
    pipeline = make_pipeline(
        # Words as ONNX Runtime can find them; lower case is made by the row feature.
        CountVectorizer(lowercase=False, token_pattern="[a-zA-Z0-9_]+"),
        # Trees give the same bits for a row alone and in a batch; tf-idf with a logistic regression
        # did not (1.2e-7 off), and would need score_decimals.
        RandomForestClassifier(20, max_depth=12, random_state=7),
    )
    pipeline.fit([text.lower() for text in texts], labels)
    assert tuple(pipeline.classes_) == CLASSES
    return pipeline


def _as_json(ticket: dict[str, Any]) -> bytes:
    return json.dumps(ticket).encode()


def train(
    artifacts: Path,
    usecase: UseCase = usecase,
    encode: Callable[[dict[str, Any]], bytes] = _as_json,
) -> None:
    """Write the model version that `usecase` serves; `encode`: what its topic's values are."""
    (topic,) = usecase.topics
    start = datetime(2024, 1, 1, tzinfo=UTC)
    log = [
        LogRecord(
            encode(
                {
                    "event_id": f"t{number}",
                    "event_time": (start + timedelta(seconds=number)).isoformat(),
                    "text": text.title(),
                }
            ),
            topic=topic.name,
        )
        for number, (text, _) in enumerate(messages(600))
    ]
    package(
        artifacts / usecase.champion,
        usecase,
        _fitted(),
        make_matrix(usecase, log),
        decision={"classes": list(CLASSES)},
        name="tickets",
    )
