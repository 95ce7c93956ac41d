"""What happened to one event since it failed first: letters, replays, a prediction."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.office import Office
from stream_app.dead_letters.predicted import predicted
from stream_app.dead_letters.resolutions import Resolution, Resolutions
from stream_app.dead_letters.selection import Selection
from stream_app.records.record_id import RecordId

__all__ = ["History", "history"]

_APART_SECONDS = 60.0


@dataclass(frozen=True)
class History:
    """One event's letters and what became of them."""

    resolution: Resolution | None
    """Of the letter that was asked for; None: it is open."""
    chain: list[tuple[RecordId, Resolution]]
    """Letters of the same event that were dealt with, the oldest first."""
    later: list[Letter]
    """Letters of the same event that were written after this one."""
    is_predicted: bool


def history(office: Office, letter: Letter, resolutions: Resolutions) -> History:
    """The history of a letter's event.

    Letters that came later are looked for only where the letter was replayed.
    """
    first = str(letter.first_origin)
    chain = [
        (name, each) for name, each in resolutions.by_letter.items() if each.first_origin == first
    ]
    resolution = resolutions.of(letter)
    later = list(_later(office, letter)) if chain else []
    known = predicted(
        office.brokers,
        office.usecase.predictions_topic,
        {letter.first_origin},
        letter.written_at - _APART_SECONDS,
        lambda done, total: office.progress("predictions", done, total),
    )
    return History(resolution, sorted(chain, key=lambda each: each[1].at), later, bool(known))


def _later(office: Office, letter: Letter) -> Iterator[Letter]:
    selection = Selection(since=letter.written_at)
    for each in office.select(selection, office.ranges(selection)):
        if each.first_origin == letter.first_origin and each.id != letter.id:
            yield each
