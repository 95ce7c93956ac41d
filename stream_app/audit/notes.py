"""What a reader of a report has to know beside its numbers, as sentences."""

from __future__ import annotations

import math
from collections.abc import Iterator

from stream_app.audit.removed_outputs import RemovedOutputs
from stream_app.audit.report import Report
from stream_app.audit.topic_rules import EventRules

__all__ = ["notes"]


def notes(
    report: Report,
    rules: EventRules,
    removed: RemovedOutputs,
    *,
    application: str,
    has_committed: bool,
    begins_at_end: bool,
) -> Iterator[str]:
    """The sentences for a report that is complete.

    `begins_at_end`: whether records before the group's first start were never to be read, and are
    in the range all the same.
    """
    if rules.untold:
        yield (
            f"Brokers do not tell the settings of {', '.join(rules.untold)}: outputs of offsets "
            "without a record may be of records that compaction removed. Allow DescribeConfigs."
        )
    if report.cut_off or report.no_record:
        yield (
            "A log ends before, or holds no record at, offsets that were processed: an unclean "
            "election may have cut it, or it was written anew. What was there is lost."
        )
    if report.unbelieved_replays:
        yield (
            f"{report.unbelieved_replays} records say with replay-of that they are replays, and "
            "their replay-token was not made with replay_secret: they count as records of "
            "their own."
        )
    yield from _of_letters(report)
    if not has_committed:
        yield f"The group {application} has committed no offset."
    if begins_at_end and report.missing:
        yield (
            "starts_at is end: records from before the group's first start were never read and "
            "count as missing; --since leaves them out."
        )
    if removed.until > -math.inf:
        yield (
            "Retention has removed outputs: what was written before then can neither be "
            "missing nor double for certain."
        )
    if report.above_marks:
        yield (
            f"The marks of the state do not cover {report.above_marks} committed records: it "
            "has lost them or is being built; a running worker reads them again."
        )
    if report.gone_unread:
        yield (
            f"{report.gone_unread} offsets were removed by retention before the group had "
            "committed them."
        )


def _of_letters(report: Report) -> Iterator[str]:
    if report.open_letters:
        yield (
            f"{report.open_letters:,} dead letters are open, nobody has replayed or resolved them: "
            f"{', '.join(report.open_letter_examples)}"
            f"{', ...' if report.open_letters > len(report.open_letter_examples) else ''} "
            "(stream-app dlq ls)."
        )
    if report.unmarked_replays:
        first = ", ".join(list(report.unmarked_replays)[:5])
        yield (
            f"Replays of {len(report.unmarked_replays):,} events were made with replay_secret, and not "
            f"by stream-app dlq, or sent again by somebody who copied them: {first}."
        )
