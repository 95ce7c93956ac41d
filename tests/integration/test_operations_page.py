"""docs/operations.md, "At three in the morning": each command is run as it stands, and answers its question."""

import json
import re
import time
from pathlib import Path

from tests.integration.testbed import Testbed
from tests.integration.worker import Sent, eventually

PAGE = Path(__file__).parents[2] / "docs" / "operations.md"


def questions() -> dict[str, str]:
    """Each question of the page with its command."""
    page = PAGE.read_text(encoding="utf-8")
    section = page.partition("## At three in the morning\n")[2].partition("\n## ")[0]
    return dict(re.findall(r"(?m)^\*\*(.+\?)\*\*\n\n    stream-app (.+)$", section))


def answer(testbed: Testbed, question: str, *more: str, **settings: object) -> str:
    """What the page's command prints, which ends with status 0."""
    command = ("-m", "stream_app", *questions()[question].split(), *more)
    with testbed.worker(command=command, **settings) as asked:
        assert asked.wait() == 0, asked.log
        return asked.log


def test_every_question_of_the_night_is_answered_by_its_one_command(meters: Testbed) -> None:
    """While a worker is frozen on a backlog, and after it has gone on."""
    assert len(questions()) == 5
    topic = meters.topics[0]
    with meters.worker(session_timeout_seconds=60) as worker:
        worker.ready()
        meters.cluster.produce(meters.meters(60))
        meters.cluster.produce([Sent(topic, b"{}", b"k", 0), Sent(topic, b"not json", b"k", 0)])
        worker.until("all is done", meters.drained)

        held = answer(meters, "Which worker holds what?")
        holders = set(re.findall(rf"{meters.usecase.name}@(\S+)", held))
        status = json.loads(worker.get("/status.json")[1])
        assert holders == {status["worker"]}
        assert f"worker={status['worker']}" in worker.log
        assert held.count(f"@{status['worker']}") == sum(
            t.partitions for t in meters.usecase.topics
        )

        told = answer(meters, "What is dead-lettered, and why?")
        assert "2 letters, open" in told
        assert "invalid-json" in told
        assert topic in told

        worker.pause()
        meters.cluster.produce([Sent(topic, b"{}", b"k", 0) for _ in range(7)])
        behind = answer(meters, "Which partition is behind, since when, until when?")
        (line,) = [each for each in behind.splitlines() if each.startswith(topic)]
        assert re.search(r"\b7\b.* \d+\.\d .*stall", line)
        worker.resume()
        worker.until("all is done", meters.drained)

    lost = answer(meters, "Is anything lost?")
    assert re.search(r"(missing|lost)\s+0\b", lost) or "accounted for" in lost, lost


def test_a_release_shows_by_what_serves_and_what_is_refused(meters: Testbed) -> None:
    """From another version of the model on, and the reason that came with it; and not the other way round."""
    question = "What did this deployment change?"
    champion = meters.usecase.champion.rpartition("/")[2]
    with meters.worker() as worker:
        sent = meters.meters(60)
        meters.cluster.produce(sent)
        worker.until("all is done", meters.drained)
    asked_for = sum("minutes_ahead" in str(each.value) for each in sent)
    before = answer(meters, question, "--slices", "2")
    assert re.search(rf"(?m)^\S+ +{asked_for}  \S+ {champion} ", before), before
    assert "the same all the time" in before
    # So that what comes now is in a later slice of ten seconds.
    turn = time.time()
    eventually("the slice is over", lambda: time.time() - turn > 10.5, 20.0)
    with meters.worker() as worker:
        meters.cluster.produce([Sent(meters.topics[0], b"{}", b"k", 0) for _ in range(5)])
        worker.until("all is done", meters.drained)
    command = ("-m", "stream_app", "changes", "--newer-than", "5m", "--slices", "30", "--json")
    with meters.worker(command=command) as asked:
        assert asked.wait() == 0, asked.log
        slices = [json.loads(line) for line in asked.log.splitlines() if line.startswith("{")]
    assert sum(each["letters"] for each in slices) == 5
    assert {reason for each in slices for reason in each["reasons"]} == {"missing-field"}
    with meters.worker(command=(*command[:-1],)) as asked:
        assert asked.wait() == 0, asked.log
        assert "dead letters for missing-field, and none before" in asked.log
        assert " serves, and did not before" not in asked.log
