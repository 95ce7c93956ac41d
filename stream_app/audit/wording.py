"""A report as a person reads it."""

from __future__ import annotations

from collections.abc import Iterator

from stream_app.audit.ledger import Fate
from stream_app.audit.report import RecomputeReport, Report

__all__ = ["lines"]

_SHOWN = 20
"""Ranges or differences of one kind that are shown; JSON has them all."""


def lines(report: Report) -> Iterator[str]:
    """The account, what is behind each figure that is not as it should be, and the verdict."""
    yield from _table(report)
    listed = {
        "missing": "Missing",
        "double": "More than once",
        "unproven": "Retention may have removed the output",
        "gone": "Gone by retention",
        "unasked": "Predicted, though they ask for no prediction now",
        "wrong_output": "Only outputs that are wrong",
        "no_record": "Outputs of offsets without a record",
        "cut_off": "Committed, and behind the end of the log",
    }
    for name, title in listed.items():
        ranges = report.ranges[name]
        if ranges.kept:
            yield ""
            yield f"{title}:"
            yield from (f"  {each}" for each in ranges.kept[:_SHOWN])
            more = len(ranges.kept) - _SHOWN + ranges.left_out
            if more > 0:
                yield f"  and {more} more ranges"
    if report.faults.examples:
        yield ""
        yield "Wrong outputs:"
        yield from (f"  {each['what']}" for each in report.faults.examples[:_SHOWN])
        if report.wrong > _SHOWN:
            yield f"  and {report.wrong - _SHOWN:,} more outputs"
    if report.recomputed is not None:
        yield ""
        yield from _states(report.recomputed)
    if report.notes:
        yield ""
        yield from report.notes
    yield ""
    yield _verdict(report)


def _table(report: Report) -> Iterator[str]:
    count = report.count
    rows: list[tuple[str, int, bool]] = [
        ("records", report.records, True),
        ("predicted once", count(Fate.PREDICTED), True),
        ("dead-lettered once", count(Fate.DEAD_LETTERED), True),
        ("state only", count(Fate.STATE_ONLY), True),
        ("replays, under their first origin", count(Fate.REPLAYED), False),
        ("waiting (lag)", report.waiting, True),
        ("predicted more than once", count(Fate.PREDICTED_AGAIN), True),
        ("dead-lettered more than once", count(Fate.DEAD_LETTERED_AGAIN), False),
        ("predicted and dead-lettered", count(Fate.PREDICTED_AND_DEAD_LETTERED), False),
        ("with wrong outputs only", count(Fate.WRONG_OUTPUT), False),
        ("unproven", report.unproven, False),
        ("missing", report.missing, True),
        ("  without their output", count(Fate.WITHOUT_OUTPUT), False),
        ("  not in the state", count(Fate.WITHOUT_STATE), False),
        ("gone by retention (offsets)", report.gone, True),
        ("  never committed", report.gone_unread, False),
    ]
    shown = [(title, number) for title, number, always in rows if number or always]
    width = max(len(title) for title, _ in shown)
    digits = max(len(f"{number:,}") for _, number in shown)
    for title, number in shown:
        yield f"{title:<{width}}  {number:>{digits},}"


def _states(found: RecomputeReport) -> Iterator[str]:
    yield (
        f"States recomputed from the log: {found.states:,}, equal {found.equal:,}, different "
        f"{found.different:,}, not comparable {found.not_comparable:,}, expired {found.expired:,}."
    )
    for each in (*found.differences[:_SHOWN], *found.incomparable[:_SHOWN]):
        yield f"  {each}"


def _verdict(report: Report) -> str:
    if report.failures:
        return f"Failed: {_listed(report.failures)}."
    if report.doubts:
        return f"Not proven: {_listed(report.doubts)}."
    doubles = f"; {report.double:,} came more than once" if report.double else ""
    return f"Nothing is missing{doubles}."


def _listed(found: list[tuple[int, str]]) -> str:
    return ", ".join(f"{number:,} {what}" for number, what in found)
