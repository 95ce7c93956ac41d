"""The audit itself: what is asked in which order, and how the answers become a report.

The order is what makes the account right while workers go on:

1. committed offsets, then starts and ends of the event topics' logs: records that come later are
   not looked at, and those in flight lie at or above the committed offsets, so they count as
   waiting;
2. the marks of the state: it is written before offsets are committed, so they are not behind;
3. the ends of the topics out, with what is in open transactions: outputs are acknowledged before
   offsets are committed, so every output of a committed record lies before these ends;
4. the event topics are read to the ends of step 1, the topics out to those of step 3; records of
   dead letters that hold them in part are read a second time.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from stream_app.audit.judging import Judge
from stream_app.audit.ledger import Ledger, Terms
from stream_app.audit.letters import letter_account
from stream_app.audit.notes import notes
from stream_app.audit.outputs import Outputs
from stream_app.audit.reading import read
from stream_app.audit.recompute import recompute
from stream_app.audit.removed_outputs import RemovedOutputs
from stream_app.audit.report import PartitionReport, Report
from stream_app.audit.resolving import resolve
from stream_app.audit.scope import Scope
from stream_app.audit.topic_rules import event_rules, refuse_compacted
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
from stream_app.records.record_id import RecordId
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
        everywhere = [
            partition_id for name in events for partition_id in topics[name].partition_ids
        ]
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
        out_partition_ids = [
            partition_id for name in out for partition_id in topics[name].partition_ids
        ]
        out_starts = brokers.starts(out_partition_ids)
        out_ends = brokers.ends(out_partition_ids, decided=False)
        # Step 4.
        ledgers = {
            partition_id: Ledger(max(first, starts[partition_id]), end)
            for partition_id, (first, end) in ranges.items()
        }
        partitions = {
            partition_id: PartitionReport(
                partition_id,
                first,
                end,
                starts[partition_id],
                committed.get(partition_id),
                marks.get(partition_id),
            )
            for partition_id, (first, end) in ranges.items()
        }
        for partition_id, (first, end) in ranges.items():
            report.add_gone(partitions[partition_id], first, min(starts[partition_id], end))
        judge = Judge(self._settings, usecase, rules.ahead_seconds)
        for messages in read(
            brokers,
            {partition_id: (ledger.first, ledger.end) for partition_id, ledger in ledgers.items()},
            lambda done, total: progress("events", done, total),
            lambda partition_id, first, end: report.add_gone(partitions[partition_id], first, end),
        ):
            judge.book(messages, ledgers)
        report.unbelieved_replays = judge.unbelieved_replays
        # After the ends of the event topics: the marks of all replays before them are there.
        letters = letter_account(
            brokers, self._settings, self._application, topics[usecase.dead_letters_topic].topic_id
        )
        outputs = Outputs(
            ledgers,
            [topics[name] for name in events],
            usecase.predictions_topic,
            usecase.dead_letters_topic,
            self._application,
            contract=usecase.prediction,
            replays=judge.replays,
            firsts={partition_id: first for partition_id, (first, _) in ranges.items()},
            is_everything=self._scope.is_everything,
            letters=letters,
        )
        removed = RemovedOutputs(out_starts)
        for messages in read(
            brokers,
            {
                partition_id: (out_starts[partition_id], out_ends[partition_id])
                for partition_id in out_partition_ids
            },
            lambda done, total: progress("outputs", done, total),
            removed.begins_later,
        ):
            removed.look(messages)
            outputs.take(messages)
            if outputs.waiting.is_full:
                self._settle(outputs, progress)
        self._settle(outputs, progress)
        report.outputs, report.faults = outputs.counts, outputs.faults
        if letters is not None:
            report.add_letters(letters, judge.replayed)
        apart = _CLOCKS_APART_SECONDS + rules.ahead_seconds
        for partition_id, ledger in ledgers.items():
            terms = Terms(
                committed=committed.get(partition_id),
                mark=marks.get(partition_id) if usecase.features.views else None,
                outputs_removed_until=removed.until + apart,
            )
            report.add(partitions[partition_id], ledger.judge(terms))
        self._look_behind_the_ends(report, partitions, outputs)
        if recompute_state:
            report.recomputed = recompute(
                brokers, self._store, usecase, judge, ledgers, ids, committed,
                lambda done, total: progress("states", done, total),
                _places(judge.replayed, [topics[name] for name in events]),
            )  # fmt: skip
        report.notes += notes(
            report,
            rules,
            removed,
            application=self._application,
            has_committed=bool(committed),
            begins_at_end=self._settings.starts_at == "end" and self._scope.since is None,
        )
        return report

    def _settle(self, outputs: Outputs, progress: Progress) -> None:
        """Read the records again of letters that were redacted or cut."""
        for messages in read(
            self._brokers,
            outputs.waiting.ranges(),
            lambda done, total: progress("letters", done, total),
            lambda _partition_id, _first, _end: None,
        ):
            outputs.settle(messages)
        outputs.settle_rest()

    def _look_behind_the_ends(
        self, report: Report, partitions: dict[PartitionId, PartitionReport], outputs: Outputs
    ) -> None:
        """Find outputs and commits of offsets that no log reaches any more.

        Logs only grow, and their ends are asked for after everything else: where one lies below
        an offset that was committed or published, its rest was cut off, and new records will take
        the places of those that were there.
        """
        for partition_id, end in self._brokers.ends(list(partitions), decided=False).items():
            report.add_cut_off(partitions[partition_id], end)
            beyond = np.unique(np.frombuffer(outputs.beyond.get(partition_id, b""), np.int64))
            report.add_beyond(partition_id, beyond[beyond >= end])

    def _committed(
        self, partition_ids: Sequence[PartitionId], topics: dict[str, Topic], report: Report
    ) -> dict[PartitionId, int]:
        """The committed offsets that count: none of an earlier topic of the same name."""
        found = {}
        for partition_id, each in self._brokers.committed(partition_ids).items():
            if each.is_of(topics[partition_id.topic].topic_id):
                found[partition_id] = each.offset
            else:
                report.notes.append(
                    f"The offset {each.offset} committed for {partition_id} is that of an earlier topic of "
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
        partition_ids = [partition_id for topic in topics for partition_id in topic.partition_ids]
        cluster = self._brokers.cluster_id(topics[0].name)
        ids = {topic.name: topic.topic_id for topic in topics}
        sources = [Source(cluster, ids[p.topic], p.number) for p in partition_ids]
        return dict(zip(partition_ids, self._store.register(sources), strict=True))

    def _marks(self, ids: dict[PartitionId, int]) -> dict[PartitionId, int]:
        """Per partition, the offset through which all views are applied; -1: none is known."""
        if not ids:
            return {}
        views = self._store.marks()
        return {
            partition_id: min(view.get(number, -1) for view in views)
            for partition_id, number in ids.items()
        }

    def _refuse_what_cannot_be_recomputed(self, starts: dict[PartitionId, int]) -> None:
        if not self._usecase.features.views:
            raise ConfigurationError(
                f"The use case {self._usecase.name} has no views: there is no state to recompute."
            )
        if not self._scope.is_everything:
            raise ConfigurationError(
                "States are recomputed from the whole log: leave out the range."
            )
        begun = [
            f"{partition_id} begins at {start}"
            for partition_id, start in starts.items()
            if start > 0
        ]
        if begun:
            raise ConfigurationError(
                "States can be recomputed only from a complete log, and retention has removed the "
                f"beginning of this one: {', '.join(begun)}."
            )


def _places(records: Iterable[RecordId], topics: Sequence[Topic]) -> set[tuple[PartitionId, int]]:
    """Where records of these topics lie."""
    names = {topic.topic_id: topic.name for topic in topics}
    return {
        (PartitionId(names[each.topic_id], each.partition), each.offset)
        for each in records
        if each.topic_id in names
    }
