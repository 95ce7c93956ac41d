"""Replays letters, or says what a replay would do.

The order is what makes it safe. Whoever replays takes over the transactional id of the dead-letter topic,
so that no predecessor can send any more; then reads what became of letters, through the end; then looks
which events have a prediction by now; and then decides and sends, some letters a transaction.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field, replace
from typing import Any, Final, NamedTuple

from stream_app.dead_letters.letter import Letter
from stream_app.dead_letters.letter_log import Ranges
from stream_app.dead_letters.mending import Change, Mend
from stream_app.dead_letters.office import Office, Order
from stream_app.dead_letters.origins import Origins
from stream_app.dead_letters.outgoing_replay import resolution
from stream_app.dead_letters.planning import Obstacle, Planned, Planner
from stream_app.dead_letters.predicted import predicted
from stream_app.dead_letters.resolutions import Resolutions
from stream_app.dead_letters.selection import Selection, first_of
from stream_app.dead_letters.transactions import Marked, MarkedTransactions
from stream_app.dead_letters.trial import Attempt, Trial
from stream_app.errors import ConfigurationError
from stream_app.records.places import PartitionId
from stream_app.records.record_id import RecordId
from stream_app.text.redaction import Redaction

__all__ = ["ReplayOptions", "ReplayReport", "replay"]

_TRANSACTION: Final = 4_000
"""Letters of one; a reader of committed records sees them together."""
_TRANSACTION_BYTES: Final = 8 * 2**20
_EXAMPLES: Final = 5
_APART_SECONDS: Final = 60.0


@dataclass(frozen=True)
class ReplayOptions:
    """How letters are replayed."""

    does_it: bool = False
    """Whether anything is sent."""
    is_tried: bool = True
    """Whether letters that would fail again are left where they are."""
    open_only: bool = True
    """Whether letters that are dealt with are left out of the account."""
    limit: int | None = None
    rate: float | None = None
    """Records a second at most."""
    max_attempts: int = 3
    target: tuple[str, int | None] | None = None
    mend: Mend | None = None
    mended: Callable[[Letter], bytes | None] | None = None
    attempt: Attempt | None = None
    """Tries a record that ended a worker, in another process; see `Trial`."""
    by: str = ""
    note: str = ""


@dataclass
class ReplayReport:
    """What was done with letters, or would be."""

    is_done: bool
    selected: int = 0
    replayed: int = 0
    """Letters whose records were sent, or would be."""
    targets: Counter[PartitionId] = field(default_factory=Counter)
    obstacles: Counter[Obstacle] = field(default_factory=Counter)
    examples: dict[Obstacle, list[tuple[str, str]]] = field(default_factory=dict)
    """Some letters of each, as PARTITION:OFFSET, with more about the obstacle."""
    mended: list[Change] = field(default_factory=list)
    """Some letters whose payload was changed."""
    only_decoded: str = ""
    """Why letters were only decoded, where they were to be tried."""
    redaction: Redaction = field(default_factory=lambda: Redaction(""))
    """What of payloads is not shown."""

    @property
    def left(self) -> int:
        """Selected letters that are not replayed."""
        return self.obstacles.total()

    def add(self, planned: Planned) -> None:
        """Take in what is decided about a letter."""
        self.selected += 1
        if planned.obstacle is not None:
            self._leave(planned.letter.place, planned.obstacle, planned.detail)
        elif planned.replay is not None:
            self.replayed += 1
            self.targets[planned.replay.target] += 1
            value, letter = planned.replay.value, planned.letter
            if value != letter.value and len(self.mended) < _EXAMPLES:
                self.mended.append(letter.changed_to(value, self.redaction))

    def miss(self, place: tuple[int, int]) -> None:
        """Note that something that was asked for by its number is no letter."""
        self.selected += 1
        self._leave(f"{place[0]}:{place[1]}", Obstacle.ABSENT, "")

    def refuse(self, letter: Letter, target: PartitionId, why: str) -> None:
        """Note that a letter's record was not taken after all."""
        self.replayed -= 1
        self.targets[target] -= 1
        self._leave(letter.place, Obstacle.REFUSED, why)

    def _leave(self, place: str, obstacle: Obstacle, detail: str) -> None:
        self.obstacles[obstacle] += 1
        examples = self.examples.setdefault(obstacle, [])
        if len(examples) < _EXAMPLES:
            examples.append((place, detail))

    def as_json(self) -> dict[str, Any]:
        """The report as plain data."""
        return {
            "done": self.is_done,
            "selected": self.selected,
            "replayed" if self.is_done else "would_be_replayed": self.replayed,
            "left": self.left,
            "targets": {str(target): count for target, count in self.targets.items() if count},
            "obstacles": {
                str(obstacle): {
                    "count": count,
                    "examples": [
                        {"letter": place, "detail": detail}
                        for place, detail in self.examples[obstacle]
                    ],
                }
                for obstacle, count in self.obstacles.items()
            },
            "only_decoded": self.only_decoded or None,
        }


def replay(office: Office, selection: Selection, options: ReplayOptions) -> ReplayReport:
    """Replay the selected letters, the oldest first, or say what that would do.

    Raises `ConfigurationError` for a mistake of the person, `ShutOutError` where another takes over.
    """
    partitions = _event_topics(office)
    _check_target(options.target, partitions)
    transactions = office.take_over() if options.does_it else None
    resolutions = office.resolutions(is_ensured=options.does_it)
    only = resolutions if options.open_only else None
    wanted = _wanted(office, selection, only, options.limit)
    known = predicted(
        office.brokers,
        office.usecase.predictions_topic,
        wanted.first_origins,
        wanted.since - _APART_SECONDS,
        lambda done, total: office.progress("predictions", done, total),
    )
    report = ReplayReport(options.does_it, redaction=office.redaction)
    for place in wanted.absent:
        report.miss(place)
    origins = Origins(office.brokers, office.usecase, office.replays)
    trial = None
    if options.is_tried:
        trial = Trial(office.settings, office.usecase, office.application, options.attempt)
    planner = Planner(
        office.replays,
        resolutions,
        known,
        origins,
        partitions,
        options.max_attempts,
        options.target,
        options.mend,
        options.mended,
        trial,
    )
    letters = office.select(wanted.selection, wanted.ranges, of=only, what="replay")
    try:
        for batch in _batches(planner(letters), options.rate):
            for planned in batch:
                report.add(planned)
            if transactions is not None:
                _send(transactions, batch, report, options)
    finally:
        origins.close()
        if trial is not None:
            report.only_decoded = trial.only_decoded
            trial.close()
    return report


def _event_topics(office: Office) -> dict[str, int]:
    found = office.brokers.topics([topic.name for topic in office.usecase.topics])
    return {name: topic.partitions for name, topic in found.items()}


def _check_target(target: tuple[str, int | None] | None, partitions: dict[str, int]) -> None:
    if target is None:
        return
    topic, number = target
    if topic not in partitions:
        raise ConfigurationError(
            f"--to {topic}: that is no event topic of the use case, so no worker of it would read "
            f"the records; its event topics are {', '.join(sorted(partitions))}"
        )
    if number is not None and number >= partitions[topic]:
        raise ConfigurationError(
            f"--to {topic}:{number}: {topic} has {partitions[topic]} partitions, numbered from 0"
        )


class _Wanted(NamedTuple):
    """The letters that a replay is about, as they are found before anything is decided."""

    selection: Selection
    """Selects them and no others, however the topic is read."""
    ranges: Ranges
    first_origins: set[RecordId]
    """The events that they are of."""
    since: float
    """Before this none of these events can have a prediction."""
    absent: list[tuple[int, int]]
    """Partitions and offsets that were asked for by their numbers, and are no letters of ours."""


def _wanted(
    office: Office, selection: Selection, only: Resolutions | None, limit: int | None
) -> _Wanted:
    ranges = office.ranges(selection)
    found: set[RecordId] = set()
    since = time.time()
    chosen: set[tuple[int, int]] = set()
    seen: set[tuple[int, int]] | None = None if selection.places is None else set()
    order: Order = "any" if limit is None else "oldest"
    letters = office.select(selection, ranges, order=order, of=only, seen=seen)
    for letter in first_of(letters, limit):
        found.add(letter.first_origin)
        found.update(letter.claimed_first_origin)
        since = min(since, letter.may_be_predicted_from)
        if limit is not None:
            chosen.add((letter.id.partition, letter.id.offset))
    absent = [] if seen is None or limit is not None else sorted((selection.places or set()) - seen)
    if limit is not None:
        # The letters that are decided about are those whose predictions were looked for.
        selection = replace(selection, places=frozenset(chosen))
        ranges = office.ranges(selection)
    return _Wanted(selection, ranges, found, since, absent)


def _batches(planned: Iterable[Planned], rate: float | None) -> Iterator[list[Planned]]:
    """What fits into one transaction each, at the rate asked for."""
    most = _TRANSACTION if rate is None else max(1, min(_TRANSACTION, int(rate)))
    batch: list[Planned] = []
    held = 0
    began, sent = time.monotonic(), 0
    for each in planned:
        batch.append(each)
        if each.replay is None:
            continue
        held += len(each.replay.value or b"")
        if len(batch) >= most or held > _TRANSACTION_BYTES:
            yield batch
            sent += sum(one.replay is not None for one in batch)
            batch, held = [], 0
            if rate is not None:
                time.sleep(max(0.0, began + sent / rate - time.monotonic()))
    if batch:
        yield batch


def _send(
    transactions: MarkedTransactions,
    batch: list[Planned],
    report: ReplayReport,
    options: ReplayOptions,
) -> None:
    marked: list[Marked] = []
    targets = {}
    for each in batch:
        if each.replay is not None:
            target = targets[each.letter.id] = each.replay.target
            mark = resolution(each.letter, by=options.by, note=options.note, replayed_to=target)
            marked.append((each.letter, mark, each.replay))
    for letter, why in transactions.send(marked):
        report.refuse(letter, targets[letter.id], why)
