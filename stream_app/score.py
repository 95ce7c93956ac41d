"""Stage score: the champion answers; where it cannot, the declared fallbacks do, and say so."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from features.usecase import Outputs
from stream_app.models import Model, finite
from stream_app.records import Batch, Failure, Item, Served

__all__ = ["ScoreStage"]

Fields = Callable[[Outputs, Mapping[str, Any]], Sequence[Mapping[str, Any]]]


class ScoreStage:
    """Sets `served` of each trigger."""

    def __init__(self, champion: Model, fallbacks: Sequence[Model], fields: Fields) -> None:
        self._ladder = [("champion", champion), *((model.name, model) for model in fallbacks)]
        self._fields = fields

    def __call__(self, batch: Batch) -> None:
        """Score the batch's triggers; a record no model can answer for gets a failure."""
        unserved = [item for item in batch.items if item.row is not None and item.failure is None]
        # What has a reason against the champion already is for the fallbacks.
        barred = [item for item in unserved if item.degraded is not None]
        if barred:
            unserved = [item for item in unserved if item.degraded is None]
        for name, model in self._ladder:
            if unserved:
                unserved = self._serve(model, name, unserved)
            if barred:
                unserved, barred = [*unserved, *barred], []
        for item in unserved:
            message = "neither the champion nor a fallback gave a finite answer"
            item.failure = Failure("score", "unscorable", message, disposition="bug")

    def _serve(self, model: Model, served_by: str, items: Sequence[Item]) -> list[Item]:
        """Serve what this model can; return the rest, marked with the reason."""
        try:
            outputs = model.score([item.row for item in items])  # type: ignore[misc]
            fields = self._fields(outputs, model.manifest.decision)
            good = finite(outputs)
            served = list(zip(items, fields, good, strict=True))
        except Exception:  # noqa: BLE001 - one record may make a model raise: find it
            if len(items) == 1:
                items[0].degraded = "model-error"
                return list(items)
            half = len(items) // 2
            return [
                *self._serve(model, served_by, items[:half]),
                *self._serve(model, served_by, items[half:]),
            ]
        unserved = []
        for item, own, ok in served:
            if ok:
                item.served = Served(own, model.name, model.version, served_by, item.degraded)
            else:
                item.degraded = "non-finite-score"
                unserved.append(item)
        return unserved
