"""The flights without their views: what `benchmarks.audit` accounts for needs no Redis."""

from __future__ import annotations

from dataclasses import replace

from features.flights import usecase as flights
from features.views import FeatureSet

__all__ = ["usecase"]

usecase = replace(
    flights, name="audited", features=FeatureSet(triggers=flights.features.triggers), outcome=None
)
