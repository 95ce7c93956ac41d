"""The regression with state, whose readings may also carry any number that is finite.

Its newest value is kept and read, so that numbers of any size enter a state.
"""

import os
from dataclasses import replace
from pathlib import Path

from stream_app import Column, FeatureSet, InputTopic, JsonDecoder, LastValue, UseCase, View
from tests.usecases import regression

__all__ = ["events", "make_usecase", "topic_of", "train", "usecase"]


class Reading(regression.Reading):
    """What a meter showed, and perhaps a number without bounds."""

    magnitude: float | None = None


FEATURES = FeatureSet(
    *(
        replace(view, on={Reading if e is regression.Reading else e: f for e, f in view.on.items()})
        for view in regression.FEATURES.views
    ),
    View(
        "meter_magnitude",
        "meter",
        LastValue(("magnitude",)),
        {Reading: lambda e: None if e.magnitude is None else (e.event_time, e.magnitude)},
        lambda state: Column("magnitude", state.value("magnitude"), "1", "Newest, of any size."),
    ),
    *regression.FEATURES.row_features,
    triggers=regression.FEATURES.triggers,
)


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    plain = regression.make_usecase(suffix)
    models = (Reading, regression.Request)
    topics = tuple(
        InputTopic(topic.name, JsonDecoder(model), topic.partitions)
        for topic, model in zip(plain.topics, models, strict=True)
    )
    return replace(plain, topics=topics, features=FEATURES)


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the model version that `usecase` serves: the regression's, which reads no magnitude."""
    regression.train(artifacts, usecase)


events, topic_of = regression.events, regression.topic_of
