"""docs/flood-breaker.md is what happens."""

import json
import re
import shlex
import time
from pathlib import Path

import pytest

from tests.integration.hand import Hand
from tests.integration.test_dead_letter_replay import Desk, normal, spoilt
from tests.integration.testbed import Testbed
from tests.integration.worker import Sent

PAGE = (Path(__file__).parents[2] / "docs" / "flood-breaker.md").read_text(encoding="utf-8")


def transcripts() -> list[tuple[str, str]]:
    """Each command that the page shows with a `$`, and what it prints."""
    blocks = re.findall(r"(?m)^    \$ (.+)\n((?:(?:    (?!\$).*)?\n)*)", PAGE)
    return [(line, normal(re.sub(r"(?m)^    ", "", printed))) for line, printed in blocks]


def quoted(beginning: str) -> str:
    """The lines of the page that begin so, up to an empty one, as one."""
    (found,) = re.findall(rf"(?ms)^    ({re.escape(beginning)}.*?)\n\n", PAGE)
    return " ".join(found.split())


def test_the_page_is_what_happens(tickets: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
    """Stopped, told, tried, let go on by an operator; every record of the bad run has its letter."""
    hand = Hand(tickets)
    desk = Desk(tickets, monkeypatch)
    hand.send(5)
    hand.send(3, 1)
    producer = [("producer", b"web-form 4.2")]
    tickets.cluster.produce(
        Sent(hand.topic, spoilt(f"ticket-{n}"), b"customer", 1, time.time(), producer)  # type: ignore[arg-type]
        for n in range(400)
    )
    printed = []
    with tickets.worker() as worker:
        worker.ready()
        worker.until("it is stopped", lambda: "is stopped at offset" in worker.log)
        worker.until("it is told", lambda: "stopped at" in desk.invoke(["resume"]).output)
        (line,) = [each for each in worker.log.splitlines() if "is stopped at offset" in each]
        told = normal(line, tickets.suffix).replace(f".{tickets.suffix}", "")
        assert quoted("tickets.written[1] is stopped") in told
        body = normal(worker.get("/readyz")[1], tickets.suffix)
        assert json.loads(body) == json.loads(quoted('{"ok": true'))
        for line, _ in transcripts():
            if "--yes" in line:
                worker.until("the rest is taken", lambda: stopped_alone(tickets))
            _, *arguments = shlex.split(line.replace("written:1", f"written.{tickets.suffix}:1"))
            said = desk.invoke(arguments).output
            printed.append((line, normal(said, tickets.suffix)))
            if "--yes" in line:
                worker.until("all is taken", tickets.drained)
    assert printed == transcripts()
    assert len(tickets.predictions()) == 8


def stopped_alone(tickets: Testbed) -> bool:
    """Whether nothing waits but what is stopped."""
    ends = tickets.cluster.ends(tickets.topics[0])
    found = tickets.cluster.committed(tickets.usecase.name, tickets.topics[0])
    return sum(ends.values()) - sum(found.values()) == 400
