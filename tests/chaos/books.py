"""The books of a round: every record there was, what had to become of it, what state it leads to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

from stream_app.features.events import Event
from stream_app.features.stores import Source
from stream_app.wire.dead_letter import DeadLetter
from stream_app.wire.headers import by_name
from tests.chaos.history import History, Incarnation
from tests.chaos.verdict import Answers, Asked, compare
from tests.integration.testbed import Place, Testbed
from tests.integration.worker import Out

__all__ = ["Books", "open_books"]

UNTAKEN = "untaken-"
"""Ids of events begin with it that must be dead letters, for what they carry beside their values."""
LARGE = "large-"
"""And with it, where they are large: dead letters if the topic of predictions takes less."""

#: A record that is an event, with its rank.
_Logged = tuple[Out, int, Event]

_COMPACTED = "compacted-predictions"
_SMALL = frozenset({"small-predictions", "small-topics-out"})


@dataclass(frozen=True)
class Books:
    """Of all records, those of deleted topics included."""

    records: Mapping[Place, Out]
    events: Sequence[_Logged]
    """Those that are events, with their ranks, in the order they take effect."""
    topic_ids: Mapping[str, str]
    """By the topic of a place."""
    cluster_id: str
    history: History

    @property
    def current(self) -> int:
        """Records of the topics as they are now."""
        return sum(self.history.incarnation(topic) is None for topic, _, _ in self.records)

    def event_at(self) -> dict[Place, Event]:
        """Events by place."""
        return {_place(out): event for out, _, event in self.events}

    def asked(self, testbed: Testbed, conditions: Sequence[str]) -> Asked:
        """What must become of each record."""
        events = self.event_at()
        triggers = testbed.usecase.features.triggers
        asked = Asked(set(), set(self.records.keys() - events.keys()), set())
        for place, event in events.items():
            if event.event_id.startswith(UNTAKEN):
                asked.buried.add(place)
            elif isinstance(event, triggers):
                if _COMPACTED in conditions and self.records[place].key is None:
                    asked.buried.add(place)
                elif event.event_id.startswith(LARGE) and not _SMALL.isdisjoint(conditions):
                    asked.either.add(place)
                else:
                    asked.predicted.add(place)
        return asked

    def state_difference(self, testbed: Testbed, buried: Answers) -> str | None:
        """Where the state in Redis is not what the records lead to; None: nowhere."""
        retired = {each.label: each for each in self.history.retired}
        places = list(dict.fromkeys((out.topic, out.partition) for out, _, _ in self.events))
        with testbed.store() as store:
            sources = [
                Source(
                    retired[t].cluster_id if t in retired else self.cluster_id,
                    self.topic_ids[t],
                    partition,
                )
                for t, partition in places
            ]
            ids = dict(zip(places, store.register(sources), strict=True))
            marks = store.marks()
        applied = {
            place: min(view.get(number, -1) for view in marks)
            for place, number in ids.items()
            if place[0] in retired
        }
        log = [each for each in self.events if _reaches_the_state(buried.get(_place(each[0]), ()))]
        expected = testbed.expected_account(_through(log, applied), ids)
        found = testbed.account(expected)
        if applied:
            held = testbed.states(expected)
            for key in [key for key, each in found.items() if each[:3] != expected[key][:3]]:
                # A worker that ended between two writes of a batch had raised no mark yet.
                fences = {p: held[key].fences.get(ids[p], -1) for p in applied}
                further = {p: max(mark, fences[p]) for p, mark in applied.items()}
                expected[key] = testbed.expected_account(_through(log, further), ids)[key]
        states = {view.name: view.state for view in testbed.usecase.features.views}
        return compare(states, expected, found)


def _through(log: Sequence[_Logged], ends: Mapping[tuple[str, int], int]) -> list[_Logged]:
    """Records of these partitions through an offset, and all of others."""
    return [
        each
        for each in log
        if each[0].offset <= ends.get((each[0].topic, each[0].partition), each[0].offset)
    ]


def open_books(testbed: Testbed, history: History, records: Sequence[Out]) -> Books:
    """`records`: those of the topics as they are now."""
    cluster_id, topic_ids = testbed.cluster.topic_ids(*testbed.topics)
    everything: dict[Place, Out] = {}
    events: list[_Logged] = []
    for incarnation in history.retired:
        everything |= {_place(out): out for out in incarnation.relabelled()}
        events += _relabelled(testbed, incarnation)
    everything |= {_place(out): out for out in records}
    events += testbed.log(records)
    topic_ids |= {each.label: each.topic_id for each in history.retired}
    return Books(everything, events, topic_ids, cluster_id, history)


def _relabelled(testbed: Testbed, incarnation: Incarnation) -> list[_Logged]:
    return [
        (replace(out, topic=incarnation.label), rank, event)
        for out, rank, event in testbed.log(incarnation.records)
    ]


def _reaches_the_state(dead_letters: Sequence[Out]) -> bool:
    """Whether an event updates the state: unless it is a dead letter that says it did not."""
    said = {DeadLetter.of(by_name(each.headers)).state for each in dead_letters}
    return not said or "applied" in said


def _place(out: Out) -> Place:
    return out.topic, out.partition, out.offset
