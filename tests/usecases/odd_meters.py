"""The regression with state, whose decoders do to a worker what a record's `meter` says.

`abort` ends the process, `hang` never ends, and `other` is none of the use case's: it is skipped.
"""

import os
from dataclasses import replace
from pathlib import Path

from stream_app import Event, InputTopic, JsonDecoder, Message, UseCase
from tests.usecases import regression

__all__ = ["events", "make_usecase", "topic_of", "train", "usecase"]


class _Decoder(JsonDecoder):
    def __call__(self, message: Message) -> Event | None:
        event = super().__call__(message)
        match getattr(event, "meter", None):
            case "abort":
                os.abort()
            case "hang":
                while True:
                    pass
            case "other":
                return None
        return event


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    plain = regression.make_usecase(suffix)
    models = (regression.Reading, regression.Request)
    topics = tuple(
        InputTopic(topic.name, _Decoder(model), topic.partitions)
        for topic, model in zip(plain.topics, models, strict=True)
    )
    return replace(plain, topics=topics)


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the model version that `usecase` serves: the regression's."""
    regression.train(artifacts, usecase)


events, topic_of = regression.events, regression.topic_of
