"""The text classifier, with a function of the use case that does harm to its own process.

A message whose text is, say, `feature abort` does it in the row feature; see `WHERE` and `HARM`.
"""

import json
import os
import re
import signal
import time
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from stream_app import (
    Event,
    FeatureSet,
    InputTopic,
    JsonDecoder,
    Message,
    Outputs,
    Row,
    RowFeature,
    UseCase,
    per_batch,
)
from tests.usecases import text
from tests.usecases.text import Ticket

__all__ = ["HARM", "WHERE", "make_usecase", "ticket", "train", "usecase"]

WHERE = ("decode", "feature", "score")


def _hang() -> None:
    while True:
        time.sleep(1.0)


def _spin() -> None:
    re.fullmatch("(a+)+b", "a" * 100)  # an age, in which no other thread runs


def _leave() -> None:
    os._exit(0)


def _kill() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _hoard() -> None:
    hoarded = bytearray(os.urandom(1)) * (200 << 20)
    os.kill(os.getpid(), signal.SIGKILL)  # as the kernel does where that is too much
    assert hoarded


HARM: Mapping[str, Callable[[], None]] = {
    "abort": os.abort, "leave": _leave, "hang": _hang, "spin": _spin, "kill": _kill,
    "hoard": _hoard,
}  # fmt: skip

_armed: list[str] = []
"""Harm that a record in the batch asked for, and that the next call for fields does."""


def _act(ticket: Ticket, where: str) -> None:
    place, _, harm = ticket.text.partition(" ")
    if place == where and harm in HARM:
        HARM[harm]()


class _Decoder(JsonDecoder):
    def __call__(self, message: Message) -> Event:
        ticket = super().__call__(message)
        assert isinstance(ticket, Ticket)
        _act(ticket, "decode")
        return ticket


def _text(ticket: Ticket) -> str:
    _act(ticket, "feature")
    place, _, harm = ticket.text.partition(" ")
    if place == "score" and harm in HARM:
        _armed.append(harm)
    return ticket.text.lower()


@per_batch
def _answers(
    events: Sequence[Any], rows: Sequence[Row], outputs: Outputs, decision: Mapping[str, Any]
) -> Sequence[Mapping[str, Any]]:
    for harm in _armed:
        HARM[harm]()
    return text._answers(events, rows, outputs, decision)


FEATURES = FeatureSet(
    row_features=(RowFeature("text", _text, "", "The message in lower case.", "string"),),
    triggers=(Ticket,),
)


def make_usecase(suffix: str = "") -> UseCase:
    """The use case, on topics whose names end in `suffix`."""
    plain = text.make_usecase(suffix)
    topics = tuple(InputTopic(t.name, _Decoder(Ticket), t.partitions) for t in plain.topics)
    return replace(plain, topics=topics, features=FEATURES, answer=_answers)


usecase = make_usecase(os.environ.get("TEST_TOPIC_SUFFIX", ""))


def train(artifacts: Path, usecase: UseCase = usecase) -> None:
    """Write the model version that `usecase` serves: the classifier's."""
    text.train(artifacts, usecase)


def ticket(words: str) -> bytes:
    """A message of these words, as it stands on the wire."""
    now = datetime.now(UTC).isoformat()
    return json.dumps({"event_id": uuid.uuid4().hex, "event_time": now, "text": words}).encode()
