"""The audit itself: what is asked in which order, and how the answers become a report.

The order is what makes the account right while workers go on:

1. committed offsets, then starts and ends of the event topics' logs: records that come later are
   not looked at, and those in flight lie at or above the committed offsets, so they count as
   waiting;
2. the marks of the state: it is written before offsets are committed, so they are not behind;
3. the ends of the topics out, with what is in open transactions: outputs are acknowledged before
   offsets are committed, so every output of a committed record lies before these ends;
4. the event topics are read to the ends of step 1, the topics out to those of step 3.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from stream_app.audit.judging import Judge
from stream_app.audit.ledger import Ledger, Terms
from stream_app.audit.outputs import Outputs
from stream_app.audit.reading import place_of, read
from stream_app.audit.recompute import recompute
from stream_app.audit.report import PartitionReport, Report
from stream_app.audit.resolving import resolve
from stream_app.audit.scope import Scope
from stream_app.audit.topic_rules import EventRules, event_rules, refuse_compacted
from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError, ServiceAwayError
from stream_app.features.stores import (
    Source,
    Store,
    StoreMismatchError,
    StoreRefusedError,
    StoreUnavailableError,
)
from stream_app.features.usecase import UseCase
from stream_app.kafka.brokers import Brokers, Topic, open_brokers
from stream_app.kafka.errors import asked_by_command
from stream_app.records.places import PartitionId
from stream_app.state.open_store import open_store

__all__ = ["audit"]

#: Told what is being read, offsets read, and of how many.
Progress = Callable[[str, int, int], None]

_CLOCKS_APART_SECONDS = 60.0
"""How far the clocks of whoever stamps records may be apart."""


def audit(
    settings: Settings,
    usecase: UseCase,
    scope: Scope | None = None,
    *,
    recompute_state: bool = False,
    doubles_fail: bool = False,
    progress: Progress = lambda _what, _done, _total: None,
) -> Report:
    """Account for every record of the range; nothing is changed, but see `_sources`.

    Raises `ConfigurationError` for what cannot be audited, and `ServiceAwayError` where Kafka or
    Redis does not answer.
    """
    application = settings.application or usecase.name
    brokers = open_brokers(settings, application)
    store = open_store(settings, usecase, application)
    try:
        with asked_by_command():
            return _Audit(settings, usecase, scope or Scope(), application, brokers, store).run(
                recompute_state=recompute_state, doubles_fail=doubles_fail, progress=progress
            )
    except (StoreMismatchError, StoreRefusedError) as error:
        raise ConfigurationError(str(error)) from error
    except StoreUnavailableError as error:
        raise ServiceAwayError("redis", str(error)) from error
    finally:
        store.close()
        brokers.close()


@dataclass
class _Removed:
    """What retention took from the topics out."""

    until: float = -math.inf
    """Outputs written before this time may be missing; seconds since the epoch."""
    unknown: set[PartitionId] = field(default_factory=set)
    """Partitions whose first record left has not been seen: it tells the time."""


class _Audit:
    def __init__(
        self,
        settings: Settings,
        usecase: UseCase,
        scope: Scope,
        application: str,
        brokers: Brokers,
        store: Store,
    ) -> None:
        self._settings = settings
        self._usecase = usecase
        self._scope = scope
        self._application = application
        self._brokers = brokers
        self._store = store

    def run(self, *, recompute_state: bool, doubles_fail: bool, progress: Progress) -> Report:
        usecase, brokers = self._usecase, self._brokers
        events = [topic.name for topic in usecase.topics]
        out = list(dict.fromkeys((usecase.predictions_topic, usecase.dead_letters_topic)))
        topics = brokers.topics([*events, *out])
        refuse_compacted(brokers, out)
        rules = event_rules(brokers, events)
        report = Report(self._application, doubles_fail=doubles_fail, may_compact=rules.may_compact)
        everywhere = [place for name in events for place in topics[name].partition_ids]
        # Step 1.
        committed = self._committed(everywhere, topics, report)
        starts = brokers.starts(everywhere)
        ends = brokers.ends(everywhere, decided=True)
        ranges = resolve(self._scope, brokers, starts, ends)
        if recompute_state:
            self._refuse_what_cannot_be_recomputed(starts)
        # Step 2.
        ids = self._sources([topics[name] for name in events])
        marks = self._marks(ids)
        # Step 3.
        out_places = [place for name in out for place in topics[name].partition_ids]
        out_starts = brokers.starts(out_places)
        out_ends = brokers.ends(out_places, decided=False)
        # Step 4.
        ledgers = {
            place: Ledger(max(first, starts[place]), end) for place, (first, end) in ranges.items()
        }
        partitions = {
            place: PartitionReport(
                place, first, end, starts[place], committed.get(place), marks.get(place)
            )
            for place, (first, end) in ranges.items()
        }
        for place, (first, end) in ranges.items():
            report.add_gone(partitions[place], first, min(starts[place], end))
        judge = Judge(self._settings, usecase, rules.ahead_seconds)
        for messages in read(
            brokers,
            {place: (ledger.first, ledger.end) for place, ledger in ledgers.items()},
            lambda done, total: progress("events", done, total),
            lambda place, first, end: report.add_gone(partitions[place], first, end),
        ):
            judge.book(messages, ledgers)
        report.unbelieved_replays = judge.unbelieved_replays
        outputs = Outputs(
            ledgers,
            [topics[name] for name in events],
            usecase.predictions_topic,
            usecase.dead_letters_topic,
            self._application,
            contract=usecase.prediction,
            replays=judge.replays,
            firsts={place: first for place, (first, _) in ranges.items()},
            is_everything=self._scope.is_everything,
        )
        removed = _Removed(unknown={place for place, start in out_starts.items() if start > 0})
        for messages in read(
            brokers,
            {place: (out_starts[place], out_ends[place]) for place in out_places},
            lambda done, total: progress("outputs", done, total),
            lambda place, _first, _end: removed.unknown.add(place),
        ):
            if removed.unknown:
                _look_for_first_left(removed, messages)
            outputs.take(messages)
        if removed.unknown:
            removed.until = math.inf  # nothing is left there that could tell the time
        report.outputs, report.faults = outputs.counts, outputs.faults
        apart = _CLOCKS_APART_SECONDS + rules.ahead_seconds
        for place, ledger in ledgers.items():
            terms = Terms(
                committed=committed.get(place),
                mark=marks.get(place) if usecase.features.views else None,
                outputs_removed_until=removed.until + apart,
            )
            report.add(partitions[place], ledger.judge(terms))
        self._look_behind_the_ends(report, partitions, outputs)
        if recompute_state:
            report.recomputed = recompute(
                brokers, self._store, usecase, judge, ledgers, ids, committed,
                lambda done, total: progress("states", done, total),
            )  # fmt: skip
        self._explain(report, committed, removed, rules)
        return report

    def _look_behind_the_ends(
        self, report: Report, partitions: dict[PartitionId, PartitionReport], outputs: Outputs
    ) -> None:
        """Find outputs and commits of offsets that no log reaches any more.

        Logs only grow, and their ends are asked for after everything else: where one lies below
        an offset that was committed or published, its rest was cut off, and new records will take
        the places of those that were there.
        """
        for place, end in self._brokers.ends(list(partitions), decided=False).items():
            report.add_cut_off(partitions[place], end)
            beyond = np.unique(np.frombuffer(outputs.beyond.get(place, b""), np.int64))
            report.add_beyond(place, beyond[beyond >= end])

    def _committed(
        self, places: Sequence[PartitionId], topics: dict[str, Topic], report: Report
    ) -> dict[PartitionId, int]:
        """The committed offsets that count: none of an earlier topic of the same name."""
        found = {}
        for place, each in self._brokers.committed(places).items():
            if each.is_of(topics[place.topic].topic_id):
                found[place] = each.offset
            else:
                report.notes.append(
                    f"The offset {each.offset} committed for {place} is that of an earlier topic of "
                    "this name: all records of the present one wait."
                )
        return found

    def _sources(self, topics: Sequence[Topic]) -> dict[PartitionId, int]:
        """The numbers that fences and marks are kept under.

        A source that the store does not know yet is registered, as the worker does when it comes
        to it; it is the one thing that an audit ever writes.
        """
        if not self._usecase.features.views:
            return {}
        places = [place for topic in topics for place in topic.partition_ids]
        cluster = self._brokers.cluster_id(topics[0].name)
        ids = {topic.name: topic.topic_id for topic in topics}
        sources = [Source(cluster, ids[p.topic], p.number) for p in places]
        return dict(zip(places, self._store.register(sources), strict=True))

    def _marks(self, ids: dict[PartitionId, int]) -> dict[PartitionId, int]:
        """Per partition, the offset through which all views are applied; -1: none is known."""
        if not ids:
            return {}
        views = self._store.marks()
        return {place: min(view.get(number, -1) for view in views) for place, number in ids.items()}

    def _refuse_what_cannot_be_recomputed(self, starts: dict[PartitionId, int]) -> None:
        if not self._usecase.features.views:
            raise ConfigurationError(
                f"The use case {self._usecase.name} has no views: there is no state to recompute."
            )
        if not self._scope.is_everything:
            raise ConfigurationError(
                "States are recomputed from the whole log: leave out the range."
            )
        begun = [f"{place} begins at {start}" for place, start in starts.items() if start > 0]
        if begun:
            raise ConfigurationError(
                "States can be recomputed only from a complete log, and retention has removed the "
                f"beginning of this one: {', '.join(begun)}."
            )

    def _explain(
        self,
        report: Report,
        committed: dict[PartitionId, Any],
        removed: _Removed,
        rules: EventRules,
    ) -> None:
        notes = report.notes
        if rules.untold:
            notes.append(
                f"Brokers do not tell the settings of {', '.join(rules.untold)}: outputs of offsets "
                "without a record may be of records that compaction removed. Allow DescribeConfigs."
            )
        if report.cut_off or report.no_record:
            notes.append(
                "A log ends before, or holds no record at, offsets that were processed: an unclean "
                "election may have cut it, or it was written anew. What was there is lost."
            )
        if report.unbelieved_replays:
            notes.append(
                f"{report.unbelieved_replays} records say with replay-of that they are replays, and "
                "their replay-token was not made with replay_secret: they count as records of "
                "their own."
            )
        if not committed:
            notes.append(f"The group {self._application} has committed no offset.")
        if self._settings.starts_at == "end" and self._scope.since is None and report.missing:
            notes.append(
                "starts_at is end: records from before the group's first start were never read and "
                "count as missing; --since leaves them out."
            )
        if removed.until > -math.inf:
            notes.append(
                "Retention has removed outputs: what was written before then can neither be "
                "missing nor double for certain."
            )
        if report.above_marks:
            notes.append(
                f"The marks of the state do not cover {report.above_marks} committed records: it "
                "has lost them or is being built; a running worker reads them again."
            )
        if report.gone_unread:
            notes.append(
                f"{report.gone_unread} offsets were removed by retention before the group had "
                "committed them."
            )


def _look_for_first_left(removed: _Removed, messages: Sequence[Any]) -> None:
    """Take the time of the first record left in each partition that retention cut."""
    for message in messages:
        place = place_of(message)
        if place in removed.unknown:
            removed.unknown.discard(place)
            kind, milliseconds = message.timestamp()
            removed.until = max(removed.until, milliseconds / 1_000.0 if kind else math.inf)
