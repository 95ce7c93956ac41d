"""Whether the feature code still computes for a version's golden events what it did in training."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from stream_app.errors import ServiceAwayError
from stream_app.features.events import InvalidEventError
from stream_app.features.model_version.golden import (
    Cell,
    GoldenEvent,
    UnknownTopicError,
    close,
    replay_rows,
)
from stream_app.features.model_version.manifest import Manifest
from stream_app.features.usecase import InputTopic
from stream_app.features.views import FeatureSet
from stream_app.models.checks import RETRAIN, refusal
from stream_app.models.columns import misfit
from stream_app.text.causes import FeatureError, cause_of

__all__ = ["check_replay", "replayed"]

Rows = Sequence[Mapping[str, Any] | None]


def replayed(
    manifest: Manifest,
    features: FeatureSet,
    topics: Iterable[InputTopic],
    events: Sequence[GoldenEvent],
) -> Rows:
    """What the feature code computes for the golden events: for each its columns, or None.

    A function that raises is told before anything else: a mistake in it changes the fingerprint too,
    and to train again would not help. Raises `ModelRefusedError`, and `ServiceAwayError` where a decoder does.
    """
    try:
        return replay_rows(features, topics, events)
    except UnknownTopicError as error:
        raise refusal(
            manifest,
            f"its golden events come from the topic {error}, which is none of the use case's "
            f"({', '.join(topic.name for topic in topics)}): {RETRAIN}",
        ) from None
    except InvalidEventError as error:
        raise refusal(
            manifest, f"a golden event is no longer a valid event ({error}): {RETRAIN}"
        ) from None
    except FeatureError as error:
        raise refusal(
            manifest, f"replaying its golden events fails in {error.told()}: mend that function."
        ) from error
    except ServiceAwayError:
        raise  # a decoder asks a service: that says nothing of the model
    except Exception as error:  # a decoder may raise anything
        raise refusal(
            manifest,
            f"replaying its golden events raised {cause_of(error)}: mend that function.",
        ) from error


def check_replay(
    manifest: Manifest, features: FeatureSet, events: Sequence[GoldenEvent], rows: Rows
) -> None:
    """The feature code computed for the golden events the columns it computed in training."""
    for number, (event, row) in enumerate(zip(events, rows, strict=True), start=1):
        if (event.columns is None) != (row is None):
            asks = "no longer asks" if row is None else "now asks"
            raise refusal(manifest, f"golden event {number} {asks} for a prediction: {RETRAIN}")
        if row is not None:
            _check_row(manifest, features, f"golden event {number}", row, event.columns or {})


def _check_row(
    manifest: Manifest,
    features: FeatureSet,
    where: str,
    row: Mapping[str, Any],
    expected: Mapping[str, Cell],
) -> None:
    for column, value in row.items():
        why = misfit(features.dtypes[column], value)
        if why:
            raise refusal(manifest, f"for {where} the column {column} {why}")
    for column, cell in expected.items():
        if not close(row.get(column), cell):
            raise refusal(
                manifest,
                f"{where} gives the column {column} as {row.get(column)} where "
                f"{'nothing' if cell is None else cell} is expected, so its feature code has changed: "
                f"{RETRAIN}",
            )
