"""A use case without state: which queue does a customer's message belong to? Three classes.

The model is scikit-learn's, its input a tensor of strings. Nothing is remembered between events,
so no Redis is needed.
"""

import os
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any

import numpy as np
from pydantic import Field

from stream_app import (
    Event,
    FeatureSet,
    GoldenVector,
    InputTopic,
    JsonDecoder,
    ModelInput,
    ModelOutput,
    Outputs,
    Prediction,
    Row,
    RowFeature,
    UseCase,
    measure_baseline,
    per_batch,
    record_golden_events,
    write_version,
)
from tests.usecases.versions import make_manifest, suffixed

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


def _lower(ticket: Ticket) -> str:
    # Here and not in the graph: lowercasing there needs a locale that a slim image does not have.
    return ticket.text.lower()


FEATURES = FeatureSet(
    row_features=(RowFeature("text", _lower, "", "The message in lower case.", "string"),),
    triggers=(Ticket,),
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
        topics=(InputTopic(suffixed("tickets.written", suffix), JsonDecoder(Ticket), 2),),
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
def _fitted() -> tuple[bytes, Any]:
    """The graph, and the scikit-learn pipeline that it was made from."""
    from skl2onnx import to_onnx
    from skl2onnx.common.data_types import StringTensorType
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
    graph = to_onnx(
        pipeline,
        initial_types=[("text", StringTensorType([None, 1]))],
        options={"zipmap": False},
        target_opset=17,
    )
    return graph.SerializeToString(), pipeline


def train(
    artifacts: Path,
    usecase: UseCase = usecase,
    encode: Callable[[dict[str, Any]], Any] = lambda ticket: ticket,
) -> None:
    """Write the model version that `usecase` serves; `encode`: what its topic's values are."""
    graph, pipeline = _fitted()
    data = messages(600)
    texts = [text.lower() for text, _ in data]
    probabilities = pipeline.predict_proba(texts)
    assert tuple(pipeline.classes_) == CLASSES

    def vector(case: str, text: str) -> GoldenVector:
        row = pipeline.predict_proba([text])[0].tolist()
        return GoldenVector(
            case=case,
            columns={"text": text},
            outputs={"label": str(pipeline.predict([text])[0]), "probabilities": row},
        )

    manifest = make_manifest(
        "tickets",
        data,
        ["scikit-learn", "skl2onnx", "onnx"],
        inputs=(ModelInput(name="text", dtype="string", columns=("text",)),),
        features_fingerprint=FEATURES.fingerprint(),
        outputs=(
            ModelOutput(name="label", dtype="string"),
            ModelOutput(name="probabilities", dtype="float32", shape=(3,)),
        ),
        decision={"classes": list(CLASSES)},
        metrics={"accuracy": float(pipeline.score(texts, [label for _, label in data]))},
    )
    (topic,) = usecase.topics
    tickets = [
        {"event_id": f"t{n}", "event_time": f"2024-01-01T00:00:0{n}Z", "text": text.title()}
        for n, (text, _) in enumerate(data[:3])
    ]
    write_version(
        artifacts / usecase.champion,
        manifest,
        model=graph,
        baseline=measure_baseline(
            {"text": np.array(texts, dtype=object)},
            {
                "label": np.array([label for _, label in data], dtype=object),
                "probabilities": probabilities,
            },
        ),
        golden=[
            vector("an unhappy customer", "where is my parcel it is late"),
            vector("words never seen in training", "quo vadis"),
        ],
        golden_events=record_golden_events(
            FEATURES, usecase.topics, [(topic.name, encode(t)) for t in tickets]
        ),
    )
