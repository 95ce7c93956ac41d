"""What a producer's own tests ask: would the worker take these records?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from stream_app.config.settings import Settings
from stream_app.features.usecase import UseCase
from stream_app.predictor.undelivered import UndeliveredRecords
from stream_app.testing.sent import Sent

__all__ = ["Invalid", "validate"]


@dataclass(frozen=True, slots=True)
class Invalid:
    """A record that the worker would not take: it would become a dead letter that says the same."""

    sent: Sent
    number: int
    """Its place in the list, from 0."""
    reason: str
    """A code of `docs/reasons.md`, or one of the decoder's own."""
    message: str
    field: str
    """Dotted path of the field that is wrong; empty where it is none."""


def validate(
    usecase: UseCase, records: Sequence[Sent], *, settings: Settings | None = None
) -> list[Invalid]:
    """Decode and validate records as the worker does; return those that it would not take.

    No model and no service is needed, unless a decoder asks one: then `ServiceAwayError` may be raised.
    A record without a timestamp is taken to be sent now. Raises `ConfigurationError` for a topic that
    the use case does not read.
    """
    items = UndeliveredRecords(usecase, settings)([sent.log_record for sent in records])
    return [
        Invalid(sent, number, item.failure.reason, item.failure.message, item.failure.field or "")
        for number, (sent, item) in enumerate(zip(records, items, strict=True))
        if item.failure is not None
    ]
