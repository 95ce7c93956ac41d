"""The reckoning of a round: verdict, audit, and whether the two agree."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from pydantic import SecretStr

from stream_app.audit import Report, audit
from stream_app.config.settings import Settings
from stream_app.errors import ConfigurationError
from tests.chaos.answers import buried, predicted
from tests.chaos.books import open_books
from tests.chaos.history import History
from tests.chaos.traffic import Traffic
from tests.chaos.values import broken_dead_letters, broken_predictions, shared_ids
from tests.chaos.verdict import Fates, fates
from tests.integration.testbed import Place, Testbed
from tests.integration.worker import Out

__all__ = ["Reckoning", "disagreement", "judge_audit", "reckon"]

_SHOWN = 5
_UNPROVEN = 2
"""The audit's exit status where nothing is wrong, and not everything is proven."""


@dataclass
class Reckoning:
    """What was found."""

    records: int
    """All there were, those of deleted topics included."""
    current: int
    """Those of the topics as they are now."""
    predictions: int
    dead_letters: int
    fates: Fates
    gone: int
    """Records that went with their topic before anybody had committed them."""
    cut: int
    """Records whose answers the brokers had acknowledged and forgot."""
    broken: int
    """Answers whose values are not what they should be."""
    state_equal: bool
    problems: list[str] = field(default_factory=list)


def reckon(
    testbed: Testbed, history: History, conditions: Sequence[str], traffic: Traffic, *, once: bool
) -> Reckoning:
    """Compare what came out, and the state, with what went in; `once`: doubles are a problem."""
    records = testbed.cluster.read(*testbed.topics)
    books = open_books(testbed, history, records)
    problems = _unlike_what_was_sent(records, history, traffic)
    predictions, nameless = predicted(filter(history.counts, testbed.predictions()), history)
    dead_letters, more = buried(filter(history.counts, testbed.dead_letters()), history)
    if nameless + more:
        problems.append(f"{nameless + more} answers do not say of which record they are")
    asked = books.asked(testbed, conditions)
    everyone = asked.predicted | asked.buried | asked.either
    unanswered = everyone - predictions.keys() - dead_letters.keys()
    gone, cut = history.gone(unanswered), unanswered & _cut(testbed, history)
    for places in (asked.predicted, asked.buried, asked.either):
        places -= gone | cut
    found = fates(asked, predictions, dead_letters, _committed(testbed, history))
    events = books.event_at()
    broken = [
        *broken_predictions(
            predictions, books.records, events, books.topic_ids, testbed.usecase.prediction
        ),
        *broken_dead_letters(dead_letters, books.records),
        *shared_ids(predictions, events),
    ]
    difference = books.state_difference(testbed, dead_letters)
    problems += _told(found, once=once)
    if broken:
        problems.append(f"{len(broken)} answers are broken: {'; '.join(broken[:_SHOWN])}")
    if difference:
        problems.append(difference)
    return Reckoning(
        records=len(books.records),
        current=books.current,
        predictions=len(asked.predicted | asked.either),
        dead_letters=len(asked.buried),
        fates=found,
        gone=len(gone),
        cut=len(cut),
        broken=len(broken),
        state_equal=difference is None,
        problems=problems,
    )


def _cut(testbed: Testbed, history: History) -> set[Place]:
    """Records whose answers the brokers forgot."""
    outs = history.cut_outputs
    is_prediction = testbed.usecase.predictions_topic.__eq__
    found, _ = predicted((out for out in outs if is_prediction(out.topic)), history)
    others, _ = buried((out for out in outs if not is_prediction(out.topic)), history)
    return {*found, *others}


def _committed(testbed: Testbed, history: History) -> Callable[[Place], bool]:
    offsets = testbed.cluster.committed(testbed.usecase.name, *testbed.topics)

    def is_committed(place: Place) -> bool:
        incarnation = history.incarnation(place[0])
        if incarnation is not None:
            return incarnation.is_committed(place)
        return place[2] < offsets[place[0], place[1]]

    return is_committed


def _unlike_what_was_sent(records: Sequence[Out], history: History, traffic: Traffic) -> list[str]:
    there = {(each.label): len(each.records) for each in history.retired}
    least = {each.label: each.acknowledged for each in history.retired}
    doubtful = {each.label: each.doubtful for each in history.retired}
    for topic, count in traffic.acknowledged.items():
        there[topic] = sum(out.topic == topic for out in records)
        least[topic], doubtful[topic] = count, traffic.doubtful[topic]
    return [
        f"{least[topic]} records of {topic} were acknowledged, {count} are there"
        for topic, count in there.items()
        if not least[topic] <= count <= least[topic] + doubtful[topic]
    ]


def _told(found: Fates, *, once: bool) -> list[str]:
    """A sentence for each way in which records may have gone astray."""
    problems = []
    if found.waiting:
        problems.append(f"{found.waiting} records still wait")
    if found.lost:
        problems.append(f"{len(found.lost)} records are lost: {found.lost[:_SHOWN]}")
    if found.unexpected:
        problems.append(
            f"{len(found.unexpected)} answers are unexpected: {found.unexpected[:_SHOWN]}"
        )
    if found.contradicting:
        problems.append(f"copies contradict each other: {found.contradicting[:_SHOWN]}")
    if found.double and once:
        problems.append(f"{found.double} answers are double")
    return problems


def judge_audit(testbed: Testbed, reckoning: Reckoning, history: History, *, once: bool) -> str:
    """Let `stream-app audit` account for the round as well; how it disagrees, or nothing."""
    settings = Settings(
        bootstrap_servers=testbed.cluster.bootstrap, redis_url=SecretStr(testbed.redis_url)
    )
    try:
        report = audit(
            settings, testbed.usecase, recompute_state=True,
            doubles_fail=once and not history.outputs_from,
        )  # fmt: skip
    except ConfigurationError as error:
        # A compacted topic forgets: what is missing there says nothing, and the audit says so.
        return "" if "compact" in str(error) else f"the audit refuses: {error}"
    except Exception as error:  # noqa: BLE001  the audit has to survive what the worker does
        return f"the audit failed: {error!r}"
    return disagreement(report, reckoning, history)


def disagreement(report: Report, reckoning: Reckoning, history: History) -> str:
    """How the audit's word is not the verdict's; empty: it is."""
    problems = reckoning.problems
    if problems and report.exit_status == 0:
        return f"the audit says fine, and the verdict does not: {problems[0][:200]}"
    if not problems and report.failed and not (reckoning.cut or history.truncated):
        return (
            f"the audit fails what the verdict passes: {report.missing} missing, {report.double} "
            f"double, {report.states_differ} states differ; {report.notes}"
        )
    if not problems and report.exit_status == _UNPROVEN and history.is_plain:
        return f"the audit leaves something unproven: {report.notes}"
    lost = [place for place in reckoning.fates.lost if history.incarnation(place[0]) is None]
    if history.truncated:
        return ""  # what was answered at an offset was another record's
    missing = len(lost) + reckoning.cut
    if not report.waiting and (report.records, report.missing) != (reckoning.current, missing):
        return (
            f"the audit counts {report.records} records and {report.missing} missing, the verdict "
            f"{reckoning.current} and {missing}"
        )
    return ""
