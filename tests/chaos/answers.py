"""Which record a prediction or a dead letter came of, by its headers, and what it says.

Headers of foreign origin may stand beside ours, under the same names even: what is read here is the
last of a name, as a consumer does that makes a dictionary of them.
"""

from collections.abc import Callable, Iterable

from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name
from stream_app.wire.prediction import PredictionHeaders
from tests.chaos.history import History
from tests.integration.testbed import Place
from tests.integration.worker import Out

__all__ = ["buried", "header", "predicted"]


def header(out: Out, name: str) -> str | None:
    """The last header of that name; None where there is none, or none that is text."""
    values = [value for given, value in out.headers if given == name]
    return values[-1].decode(errors="replace") if values and values[-1] is not None else None


def predicted(found: Iterable[Out], history: History) -> tuple[dict[Place, list[Out]], int]:
    """Predictions by the record they were made of, and how many do not say which."""

    def place(out: Out) -> Place:
        said = PredictionHeaders.of(by_name(out.headers))
        topic_id = said.prediction_id.rsplit("-", 2)[0]
        return history.place_of(said.topic, said.partition, said.offset, topic_id)

    return _grouped(found, place)


def buried(found: Iterable[Out], history: History) -> tuple[dict[Place, list[Out]], int]:
    """Dead letters by the record they are, and how many do not say which."""

    def place(out: Out) -> Place:
        said = DeadLetter.of(by_name(out.headers))
        return history.place_of(said.topic, said.partition, said.offset, said.topic_id)

    return _grouped(found, place)


def _grouped(
    found: Iterable[Out], place: Callable[[Out], Place]
) -> tuple[dict[Place, list[Out]], int]:
    grouped: dict[Place, list[Out]] = {}
    nameless = 0
    for out in found:
        try:
            grouped.setdefault(place(out), []).append(out)
        except ValueError:
            nameless += 1
    return grouped, nameless
