"""Labels: what really happened after each event that asked, joined as the use case's outcome says.

They are joined after the replay and never seen by it.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from stream_app.features.events import Event
from stream_app.features.usecase import Outcome
from stream_app.features.views import FeatureSet
from stream_app.text.causes import cause_of, with_text
from stream_app.text.moments import in_utc
from stream_app.training.errors import MatrixError

__all__ = ["Labels", "called"]


class _Happened(NamedTuple):
    position: int
    event_time: float
    label: float | None


class _Asked(NamedTuple):
    position: int
    event_time: float
    key: str
    event_id: str


class Labels:
    """Collects outcomes and the events that asked, in the order in which they became known."""

    def __init__(self, outcome: Outcome, features: FeatureSet) -> None:
        for trigger in features.triggers:
            if issubclass(trigger, outcome.event) or issubclass(outcome.event, trigger):
                raise MatrixError(
                    f"{outcome.event.__name__} is the outcome and asks for predictions too: its "
                    "features would be read with the label in hand. Declare an event type of its own "
                    "for the outcome."
                )
        self._outcome = outcome
        self._happened: defaultdict[str, list[_Happened]] = defaultdict(list)
        self._asked: list[_Asked] = []
        self._position = 0

    def saw(self, event: Event, asks: bool) -> None:
        """Take the next event of the log in; `asks`: whether it asks for a prediction."""
        outcome = self._outcome
        position = self._position = self._position + 1
        if isinstance(event, outcome.event):
            label = called("the outcome's label", outcome.label, event)
            happened = _Happened(position, event.event_time, label)
            self._happened[called("the outcome's join_key", outcome.join_key, event)].append(
                happened
            )
        if asks:
            key = called("the outcome's join_key", outcome.join_key, event)
            self._asked.append(_Asked(position, event.event_time, key, event.event_id))

    def joined(self, log_end: float, *, known_outcomes: str) -> npt.NDArray[np.float64]:
        """The label of each event that asked, in order; NaN where there is none.

        `log_end`: the newest event time of the log, seconds. Raises `MatrixError` where an outcome
        was known before its prediction was asked for, unless `known_outcomes` is ``"unlabelled"``.
        """
        leaks = [asked for asked in self._asked if self._knew(asked)]
        if leaks and known_outcomes == "refuse":
            first = leaks[0]
            raise MatrixError(
                f"of {len(leaks)} predictions the outcome was known before they were asked for, the "
                f"first {first.event_id} of {in_utc(first.event_time)}: such rows leak the label. "
                "Mend the outcome's join_key so that it names one prediction, or leave these rows "
                'without a label by known_outcomes="unlabelled".'
            )
        without = {asked.position for asked in leaks}
        return np.array(
            [
                math.nan if asked.position in without else self._label(asked, log_end)
                for asked in self._asked
            ],
            dtype=np.float64,
        )

    def _knew(self, asked: _Asked) -> bool:
        happened: Sequence[_Happened] = self._happened.get(asked.key, ())
        return bool(happened) and happened[0].position < asked.position

    def _label(self, asked: _Asked, log_end: float) -> float:
        within = self._outcome.absent_after_seconds
        happened: Sequence[_Happened] = self._happened.get(asked.key, ())
        if within is None:
            label = happened[-1].label if happened else None
            return math.nan if label is None else float(label)
        horizon = asked.event_time + within
        # An early outcome is no label yet either: rows of the log's end would be those that had one.
        if horizon > log_end:
            return math.nan
        in_time = [each for each in happened if each.event_time <= horizon]
        label = in_time[-1].label if in_time else 0.0
        return math.nan if label is None else float(label)


def called(name: str, function: Callable[[Any], Any], event: Event) -> Any:
    """What a function of the author's gives for an event; raises `MatrixError` where it raises."""
    try:
        return function(event)
    except Exception as error:
        raise MatrixError(
            f"{name} raised {with_text(cause_of(error), error)} for the {type(event).__name__} "
            f"{event.event_id}: mend that function."
        ) from error
