"""The loop that people write, beside the feature library: the same columns, or it would be a straw man."""

import math
from collections import defaultdict
from typing import Any

import pytest

from benchmarks.contest.loops.usual import Hash, Scorer, _keys, row, updates
from demo.worker import ROOT
from features.flights import usecase
from features.flights.data.year import records
from features.flights.events import Boarding, WeatherObserved
from stream_app.features.engine.arrival import Arrival
from stream_app.features.engine.engine import FeatureEngine
from stream_app.features.events.message import LogRecord
from stream_app.models import load_model


def test_columns_and_scores() -> None:
    """Of 4,000 events in a row, each flight that boards has the library's columns and the worker's score."""
    decoders = {topic.name: topic.decoder for topic in usecase.topics}
    engine = FeatureEngine(usecase.features)
    tables = engine.tables()
    hashes: dict[str, Hash] = defaultdict(dict)
    scorer = Scorer(ROOT / "artifacts" / usecase.champion)
    model = load_model(ROOT / "artifacts" / usecase.champion, usecase.features, usecase.topics)
    compared = 0
    for offset, record in enumerate(records(count=4_000)):
        event: Any = decoders[record.topic](LogRecord(record.value, record.key))
        arrival = Arrival(event, 1, 0, offset)
        engine.gather([arrival])
        engine.advance([arrival], tables)
        is_weather = isinstance(event, WeatherObserved)
        keys = {"origin": f"origin:{event.origin}"} if is_weather else _keys(event)
        if isinstance(event, Boarding):
            columns = row(event, keys, hashes)
            assert arrival.row is not None
            for name, ours in zip(usecase.features.columns, arrival.row, strict=True):
                theirs = columns[name]
                if isinstance(ours, str):
                    assert theirs == ours, name
                elif math.isnan(ours):
                    assert math.isnan(theirs), name
                else:
                    assert theirs == pytest.approx(ours, abs=1e-6), name
            score = float(model.score([arrival.row])["score"].ravel()[0])
            assert scorer(columns) == pytest.approx(score, abs=2e-6)
            compared += 1
        for key, fields in updates(event, keys, hashes).items():
            hashes[key] |= fields
    assert compared > 1_000
