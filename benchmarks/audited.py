"""The flights without their views: what `benchmarks.audit` accounts for needs no Redis."""

from __future__ import annotations

from dataclasses import replace

from features.flights import usecase as flights
from stream_app.features.views import FeatureSet

__all__ = ["PREFIX", "usecase"]

#: What the topics are called here: a broker may have those of the demo already.
PREFIX = "audited."

usecase = replace(
    flights,
    name="audited",
    topics=tuple(replace(topic, name=PREFIX + topic.name) for topic in flights.topics),
    predictions_topic=PREFIX + flights.predictions_topic,
    dead_letters_topic=PREFIX + flights.dead_letters_topic,
    features=FeatureSet(triggers=flights.features.triggers),
    outcome=None,
)
