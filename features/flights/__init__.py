"""The demo's use case: will a flight from New York arrive more than 15 minutes late?

Run it with ``stream-app run features.flights:usecase``.
"""

from __future__ import annotations

from datetime import UTC, datetime

from features.flights.events import Arrived, Boarding, Departed, WeatherObserved
from features.flights.predictions import LatePrediction, late_answers
from features.flights.views import features, is_late
from stream_app import InputTopic, Outcome, TimeBounds, UseCase

__all__ = ["usecase"]

usecase = UseCase(
    name="flights",
    # In the order of `features.flights.data.year.TOPICS`: what happened in the same minute as a request
    # for a prediction comes before it.
    topics=(
        InputTopic("weather.observed", WeatherObserved),
        InputTopic("flights.arrived", Arrived),
        InputTopic("flights.departed", Departed),
        InputTopic("flights.boarding", Boarding),
    ),
    predictions_topic="flights.predictions",
    dead_letters_topic="flights.dead-letters",
    features=features,
    prediction=LatePrediction,
    answer=late_answers,
    champion="flights/champion-1",
    fallbacks=("flights/static-1",),
    # The log is of 2013 whenever it is played; a week on either side for time zones and delays.
    times=TimeBounds(
        earliest=datetime(2012, 12, 25, tzinfo=UTC).timestamp(),
        latest=datetime(2014, 1, 8, tzinfo=UTC).timestamp(),
    ),
    outcome=Outcome(
        Arrived, "flight_id", label=lambda event: float(is_late(event.arrival_delay_minutes))
    ),
)
