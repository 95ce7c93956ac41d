"""Dead letters on a real broker: looked at, mended, replayed once, whoever dies or interferes meanwhile."""

import hashlib
import json
import re
import shlex
import time
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner, Result

from stream_app.cli import main
from stream_app.text.moments import rfc3339
from stream_app.wire.headers import by_name
from stream_app.wire.replays import REPLAY_OF
from tests.integration.conftest import NO_REDIS
from tests.integration.hand import Hand, run
from tests.integration.testbed import Testbed
from tests.integration.worker import Cluster, Sent, Worker
from tests.usecases import hostile, mistaken

PAGE = (Path(__file__).parents[2] / "docs" / "dead-letters.md").read_text(encoding="utf-8")


@pytest.fixture
def hand(tickets: Testbed) -> Hand:
    """A group of the text classifier, whose every valid record asks for a prediction."""
    return Hand(tickets)


class Desk:
    """`stream-app dlq` of a testbed, in this process."""

    def __init__(self, testbed: Testbed, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(testbed.module, "usecase", testbed.usecase)
        self._testbed = testbed

    def __call__(self, name: str, *arguments: str, status: int = 0, **settings: str) -> Result:
        """Run a command, and see that it ends with this status."""
        positional = [arguments[0]] if name in {"show", "import"} else []
        rest = arguments[len(positional) :]
        done = self.invoke(["dlq", name, *positional, self._testbed.spec, *rest], **settings)
        assert done.exit_code == status, done.output
        return done

    def invoke(self, line: list[str], **settings: str) -> Result:
        """Run a line of the command."""
        given = {"usecase": self._testbed.spec, **self._testbed.settings, **settings}
        environment = {f"STREAM_APP_{name.upper()}": str(value) for name, value in given.items()}
        return CliRunner().invoke(
            main, line, env=environment | {"COLUMNS": "100"}, catch_exceptions=False
        )

    def json(self, name: str, *arguments: str, status: int = 0) -> Any:
        """What a command says with --json."""
        return json.loads(self(name, *arguments, "--json", status=status).stdout)

    def letters(self, *arguments: str) -> list[Any]:
        """What `ls` lists."""
        listed = self("ls", *arguments, "--json", "--limit", "100000").stdout
        return [json.loads(line) for line in listed.splitlines()]


@pytest.fixture
def desk(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> Desk:
    """The commands about the letters of the text classifier."""
    return Desk(hand.testbed, monkeypatch)


def replays(hand: Hand) -> Counter[str]:
    """How often each event was replayed, as a reader of committed records sees it."""
    named = (by_name(out.headers).get(REPLAY_OF) for out in hand.testbed.cluster.read(hand.topic))
    return Counter(origin.decode() for origin in named if isinstance(origin, bytes))


def spoilt(event_id: str) -> bytes:
    """An event without its text."""
    return json.dumps({"event_id": event_id, "event_time": rfc3339(time.time())}).encode()


def transcripts() -> list[tuple[str, str]]:
    """Each command that the page shows with a `$`, and what it prints."""
    blocks = re.findall(r"(?m)^    \$ (.+)\n((?:(?:    (?!\$).*)?\n)*)", PAGE)
    return [(line, normal(re.sub(r"(?m)^    ", "", printed))) for line, printed in blocks]


def normal(printed: str, suffix: str = "") -> str:
    """What a command prints, without times, ids and the names of a test."""
    printed = printed.replace(f"-{suffix}", "").replace(f".{suffix}", "") if suffix else printed
    printed = re.sub(r"\d{4}-\d\d-\d\dT[\d:.]+(Z|\+00:00Z?)", "TIME", printed)
    printed = re.sub(r"\([\w/.-]*fixes\.py:", "(fixes.py:", printed)
    printed = re.sub(r"\b[\w-]{22}-(\d+-\d+)\b", r"ID-\1", printed)
    return "\n".join(line.rstrip() for line in printed.strip().splitlines())


def test_the_runbook_is_what_happens(
    hand: Hand, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Dead-lettered, seen, mended, tried, replayed, predicted under its first id; the audit is content."""
    (fix,) = re.findall(r"(?ms)^```python$\n(.*?)^```$", PAGE)
    (tmp_path / "fixes.py").write_text(fix)
    monkeypatch.chdir(tmp_path)
    testbed = hand.testbed
    hand.send(5)
    for name in ("ticket-1", "ticket-2", "beyond-help"):
        hand.send(1, 1, value=spoilt(name), headers=[("producer", b"web-form 4.2")])
    printed = []
    with testbed.worker() as worker:
        for line, _ in transcripts():
            worker.ready().until("all is taken", testbed.drained)
            _, *arguments = shlex.split(line)
            told = desk.invoke(arguments).output
            printed.append((line, normal(told, testbed.suffix)))
    assert printed == transcripts()
    predicted = {out.header("prediction-id"): out for out in testbed.predictions()}
    assert len(predicted) == len(testbed.predictions()) == 7
    replayed = predicted[hand.origin(0, 1)]
    assert replayed.header("replay-of") == hand.origin(0, 1)
    assert replayed.header("producer") == "web-form 4.2"
    assert replayed.json["label"] == "praise"


def fill(hand: Hand, count: int) -> None:
    """Records, each with a dead letter."""
    hand.send(count)
    hand.bury(range(count))


def replaying(hand: Hand, *arguments: str) -> Worker:
    """`stream-app dlq replay --everything --yes` in a process of its own, not started."""
    line = ("dlq", "replay", "--everything", "--yes", "--untried", *arguments)
    return hand.testbed.worker(command=("-m", "stream_app", *line))


def test_killed_half_way_it_goes_on_and_replays_nothing_twice(hand: Hand, desk: Desk) -> None:
    """A reader of committed records sees each letter replayed once, however often it was killed."""
    count = 4_000
    fill(hand, count)
    for killed_after in (0, 600, 1_200):
        with replaying(hand, "--rate", "800") as operator:
            sent = hand.testbed.cluster.count(hand.topic)
            operator.until(
                "so many are there, and more were sent",
                lambda least=killed_after, before=sent: (
                    hand.testbed.cluster.count(hand.topic) > before
                    and replays(hand).total() >= least
                ),
            )
            operator.kill()
    done = desk.json("replay", "--everything", "--yes", "--untried")
    assert 0 < done["replayed"] < count
    assert replays(hand) == Counter({hand.origin(offset): 1 for offset in range(count)})
    assert desk.letters() == []


def test_a_second_operator_shuts_the_first_out(hand: Hand, desk: Desk) -> None:
    """The first ends with a sentence and status 1; together they replay each letter once."""
    count = 1_500
    fill(hand, count)
    with replaying(hand, "--rate", "100") as first:
        first.until("it sends", lambda: hand.testbed.cluster.count(hand.topic) > count)
        assert desk.json("replay", "--everything", "--yes", "--untried")["replayed"] > 0
        assert first.wait() == 1
        assert "somebody else replays or resolves letters" in first.log
        assert "Traceback" not in first.log
    assert replays(hand) == Counter({hand.origin(offset): 1 for offset in range(count)})


def test_a_cut_letter_is_taken_from_its_origin_or_named(hand: Hand, desk: Desk) -> None:
    """By length and SHA-256 of what was left out; a letter whose record is another one stays."""
    hand.send(2)
    whole = hand.record(0)
    assert whole is not None
    assert whole.value is not None
    digest = hashlib.sha256(whole.value).hexdigest().encode()
    for offset in range(2):
        letter = hand.dead_letter(offset)
        letter.value = None
        letter.headers += [
            ("dead-letter.value-omitted-bytes", str(len(whole.value)).encode()),
            ("dead-letter.value-omitted-sha256", digest),
        ]
        hand.testbed.cluster.produce([replace(letter, partition=0)])
    assert "taken from the event topic" in desk("show", "0:0").output
    told = desk("replay", "--everything", "--yes", status=1).output
    assert "left: cut, and not to be completed" in told
    assert "the value of" in told
    assert replays(hand) == {hand.origin(0): 1}
    assert hand.testbed.cluster.read(hand.topic)[-1].value == whole.value
    assert [letter["letter"] for letter in desk.letters()] == ["0:1"]


def test_what_is_exported_is_imported_to_the_very_bytes(
    hand: Hand, desk: Desk, tmp_path: Path
) -> None:
    """Mended by hand it is replayed as its letter, once; bytes that are no text come back as well."""
    odd = b"\xff\x00 no text \xe2\x80\xa8"
    hand.send(1, value=odd, key=None)
    hand.send(1, value=spoilt("hand-made"))
    hand.bury([0, 1])
    file = tmp_path / "letters.jsonl"
    desk("export", "--output", str(file))
    lines = [json.loads(line) for line in file.read_text().splitlines()]
    mended = json.loads(lines[1]["value"]) | {"text": "Where is my parcel?"}
    lines[1]["value"] = json.dumps(mended)
    file.write_text("".join(f"{json.dumps(line)}\n" for line in lines))
    dry = desk.json("import", str(file), status=1)
    assert dry["obstacles"]["would fail again"]["count"] == 1
    assert desk.json("import", str(file), "--yes", "--untried")["replayed"] == 2
    again = desk.json("import", str(file), "--yes", "--untried", status=1)
    assert again["obstacles"]["already replayed"]["count"] == 2
    sent = hand.testbed.cluster.read(hand.topic)[2:]
    assert [out.value for out in sent] == [odd, json.dumps(mended).encode()]
    assert sent[0].key is None
    assert sent[1].key == b"customer"


def test_a_letter_that_fails_again_counts_on_and_is_not_replayed_for_ever(
    hand: Hand, desk: Desk
) -> None:
    """The chain is found by its first origin; past the limit a letter is left, and resolved by hand."""
    hand.send(1, value=spoilt("hopeless"))
    with hand.testbed.worker() as worker:
        for attempt in range(1, 4):
            worker.until("it fails", lambda least=attempt: len(desk.letters("--all")) == least)
            limit = ("--untried", "--yes", "--max-attempts", "3")
            report = desk.json("replay", "--everything", *limit, status=int(attempt == 3))
        assert report["obstacles"]["failed too often (--max-attempts)"]["count"] == 1
    (last,) = desk.letters()
    assert last["attempts"] == 3
    assert last["first_origin"] == hand.origin(0)
    shown = desk.json("show", last["letter"])
    assert len(shown["history"]) == 2
    assert run(hand.testbed, doubles_fail=True).open_letters == 1
    assert desk.json("resolve", "--letter", last["letter"], "--yes")["resolved"] == 1
    assert desk.letters() == []
    assert run(hand.testbed, doubles_fail=True).open_letters == 0


def test_the_audit_names_replays_that_no_mark_knows(hand: Hand, desk: Desk) -> None:
    """Made by hand with the secret, or copied: a finding, once letters are replayed by the command."""
    hand.send(2)
    hand.bury([0, 1])
    desk("replay", "--everything", "--yes")
    copied = hand.testbed.cluster.read(hand.topic)[-1]
    hand.testbed.cluster.produce(
        [Sent(copied.topic, copied.value, copied.key, 0, headers=copied.headers)]
    )
    report = run(hand.testbed)
    assert report.unmarked_replays == {copied.header("replay-of"): 1}
    assert report.exit_status == 1


def test_an_event_that_has_a_prediction_by_now_is_not_replayed(hand: Hand, desk: Desk) -> None:
    """Somebody may have replayed it before there was a mark."""
    hand.send(1)
    hand.bury([0])
    hand.predict([0])
    report = desk.json("replay", "--everything", "--yes", status=1)
    assert list(report["obstacles"]) == ["its event has a prediction by now"]
    assert replays(hand) == {}


def test_a_persons_mistakes_get_a_sentence_each(hand: Hand, desk: Desk) -> None:
    """Nothing is sent, and the status is 2."""
    hand.send(1)
    hand.bury([0])

    def told(*arguments: str, **settings: str) -> str:
        return " ".join(desk("replay", *arguments, "--yes", status=2, **settings).output.split())

    assert "say --everything if that is meant" in told()
    elsewhere = hand.testbed.usecase.predictions_topic
    assert "that is no event topic of the use case" in told("--everything", "--to", elsewhere)
    assert "has 2 partitions" in told("--everything", "--to", f"{hand.topic}:7")
    assert "has no attribute 'nothing'" in told("--everything", "--with", "json:nothing")
    assert "expected MODULE:FUNCTION" in told("--everything", "--with", "json")
    assert f"the letters in {hand.testbed.usecase.dead_letters_topic} are of {hand.group}" in told(
        "--everything", application="somebody-else"
    )
    del hand.testbed.settings["replay_secret"]
    assert "replay_secret is not set" in told("--everything")
    assert len(hand.testbed.cluster.read(hand.topic)) == 1


SECRET = "marked-4012-8888"


def test_redacted_fields_are_seen_nowhere_and_replayed_whole(
    hand: Hand, desk: Desk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Not in letter, log, ls, show, diff or export; fix and import have them, and the audit is content."""
    fix = "import json\n\ndef fix(value):\n    return json.dumps(json.loads(value) | {'text': 'Hi'}).encode()\n"
    (tmp_path / "privacy_fixes.py").write_text(fix)
    monkeypatch.chdir(tmp_path)
    testbed = hand.testbed
    testbed.settings |= {"redact_fields": "buyer.card, cards[*]", "log_level": "DEBUG"}
    event = json.loads(spoilt("a")) | {"buyer": {"card": SECRET, "id": 1}, "cards": [SECRET]}
    hand.send(1, value=json.dumps(event).encode())
    hand.send(1, value=json.dumps(event | {"event_id": "b", "buyer": SECRET}).encode())
    hand.send(1, value=SECRET.encode())
    hand.send(1)
    told = []
    with testbed.worker() as worker:
        worker.until("all is taken", testbed.drained)
        places = [each["letter"] for each in desk.letters()]
        assert len(places) == 3
        told += [desk("ls").output, desk("stats").output]
        for place in places:
            told += [desk("show", place).output, desk("show", place, "--json").output]
        assert "redacted    buyer.card, cards[*]; the event topic still holds the record" in told[6]
        file = tmp_path / "letters.jsonl"
        desk("export", "--output", str(file))
        exported = [json.loads(line) for line in file.read_text().splitlines()]
        assert '"card": "[redacted 1]"' in exported[0]["value"]
        assert exported[2]["value"] is None
        told += [file.read_text()]
        chosen = ("--letter", places[2], "--with", "privacy_fixes:fix")
        told += [desk("replay", *chosen).output, desk("replay", *chosen, "--yes").output]
        assert '+  "text": "Hi"' in told[-1]
        exported[1]["value"] = json.dumps(json.loads(exported[1]["value"]) | {"text": "Ho"})
        file.write_text("".join(f"{json.dumps(line)}\n" for line in exported))
        done = desk("import", str(file), "--yes", "--untried", status=1)
        assert "nothing is written in its place" in done.output
        told += [done.output]
        worker.until("the replays are predicted", lambda: len(testbed.predictions()) == 3)
        worker.until("and committed", testbed.drained)
        worker.stop()
        told += [worker.log]
    letters = testbed.cluster.read(testbed.usecase.dead_letters_topic)
    told += [repr(letters)]
    assert not [text for text in told if SECRET in text]
    sent = [json.loads(out.value or b"") for out in testbed.cluster.read(hand.topic)[4:]]
    assert [each["buyer"] for each in sent] == [{"card": SECRET, "id": 1}, SECRET]
    assert [each["cards"] for each in sent] == [[SECRET], [SECRET]]
    report = run(testbed)
    assert report.exit_status == 0
    assert report.faults.counts.total() == 0
    assert report.open_letters == 1


def spread(hand: Hand, count: int, *, older: int, seconds: float) -> list[Sent]:
    """So many letters of both event partitions, those of one of them older by so many seconds."""
    now, made = time.time() - 2 * seconds, []
    for partition in (0, 1):
        hand.send(count, partition)
        at = now - seconds * (partition == older)
        for offset in range(count):
            letter = hand.dead_letter(offset, partition)
            made.append(replace(letter, partition=partition, timestamp=at + offset / 1_000))
    return made


def test_a_limit_takes_the_oldest_of_all_partitions_and_looks_for_their_predictions(
    hand: Hand, desk: Desk
) -> None:
    """The letters that are replayed are those whose predictions were looked for, however they are read."""
    count = 400
    hand.testbed.cluster.produce(spread(hand, count, older=1, seconds=600))
    hand.predict(range(0, count, 2), 0)
    hand.predict(range(0, count, 2), 1)
    report = desk.json("replay", "--everything", "--untried", "--limit", "300", "--yes", status=1)
    assert report["obstacles"]["its event has a prediction by now"]["count"] == 150
    oldest = Counter({hand.origin(offset, 1): 1 for offset in range(1, 300, 2)})
    assert replays(hand) == oldest
    resolved = desk.json("resolve", "--reason", "", "--limit", "3", "--yes")
    assert resolved["resolved"] == 3
    left = {each["first_origin"] for each in desk.letters()}
    assert not left & {hand.origin(offset, 1) for offset in (0, 2, 4)}


def test_an_event_that_was_predicted_long_before_its_letter_is_not_replayed(
    hand: Hand, desk: Desk
) -> None:
    """A worker published it and died before it committed; an hour later another one refused the record."""
    hand.send(1)
    now = time.time()
    said = rfc3339(now - 3_600).encode()
    hand.testbed.cluster.produce(
        [replace(hand.prediction(0), timestamp=now - 3_500), hand.dead_letter(0, timestamp=said)]
    )
    report = desk.json("replay", "--everything", "--yes", status=1)
    assert list(report["obstacles"]) == ["its event has a prediction by now"]
    assert replays(hand) == {}


def test_what_was_asked_for_and_is_no_letter_is_told(
    hand: Hand, desk: Desk, tmp_path: Path
) -> None:
    """By its number or in a file, of which an empty one is a mistake and not every letter."""
    fill(hand, 2)
    absent = "not in the dead-letter topic, or of another application"
    (place, other) = [each["letter"] for each in desk.letters()]
    chosen = ("--letter", place, "--letter", "0:99")
    report = desk.json("replay", *chosen, status=1)
    assert report["obstacles"][absent]["examples"] == [{"letter": "0:99", "detail": ""}]
    assert (report["selected"], report["would_be_replayed"]) == (2, 1)
    assert f"0:99 is {absent}" in desk("resolve", *chosen, "--yes", status=1).output
    file = tmp_path / "letters.jsonl"
    file.write_text("")
    assert "there is no letter in it" in desk("import", str(file), status=2).output
    desk("export", "--output", str(file))
    line = json.loads(file.read_text())
    line["letter"] = re.sub(r"\d+$", "99", line["letter"])
    file.write_text(f"{file.read_text()}{json.dumps(line)}\n")
    report = desk.json("import", str(file), "--yes", status=1)
    assert report["replayed"] == 1
    assert report["obstacles"][absent]["count"] == 1
    assert desk.letters() == []
    assert other


def test_times_before_1970_are_times(hand: Hand, desk: Desk) -> None:
    """A broker has other uses for numbers below zero, such as the end of the log."""
    fill(hand, 1)
    for time_ in ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59.999Z", "1969-12-31T23:59:59.997Z"):
        assert len(desk.letters("--since", time_)) == 1
    assert len(desk.letters("--newer-than", "999999999d")) == 1
    assert desk.letters("--until", "0001-01-02T00:00:00Z") == []
    assert desk.letters("--since", "9999-12-31T00:00:00Z") == []


def test_a_letter_that_somebody_forged_writes_to_no_terminal(hand: Hand, desk: Desk) -> None:
    """Whoever may write the topic may write anything into its headers."""
    hand.send(1)
    evil = b"\x1b[31m\x07\nforged"
    names = ("stage", "reason", "message", "field", "disposition", "timestamp", "code_version",
             "model_version", "producer", "failed_at", "state")  # fmt: skip
    forged = hand.dead_letter(0, **dict.fromkeys(names, evil))
    cut = hand.dead_letter(0, topic=evil)
    cut.headers += [
        ("dead-letter.value-omitted-bytes", b"9"),
        ("dead-letter.value-omitted-sha256", b"00" * 32),
    ]
    hand.testbed.cluster.produce(replace(each, partition=0) for each in (forged, cut))
    told = [desk("ls").output, desk("stats").output, desk("export", status=1).output]
    for place in ("0:0", "0:1"):
        told += [desk("show", place).output, desk("show", place, "--json").output]
    told += [desk("replay", "--everything", status=1).output]
    assert not [text for text in told if re.search(r"[\x00-\x09\x0b-\x1f]", text)]
    assert not [text for text in told if re.search(r"(?m)^forged", text)]


def test_a_record_with_too_many_headers_would_fail_again(hand: Hand, desk: Desk) -> None:
    """A replay adds four, and the dry run knows it."""
    hand.send(1, headers=[(f"h{number}", b"") for number in range(1_021)])
    hand.bury([0])
    report = desk.json("replay", "--everything", "--yes", status=1)
    (example,) = report["obstacles"]["would fail again"]["examples"]
    assert example["detail"].startswith("decode too-many-headers: the record has 1025 headers")
    assert replays(hand) == {}


def test_an_answer_that_cannot_be_written_would_fail_again(
    cluster: Cluster, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The dry run takes the last step, too: of the answer's bytes."""
    testbed = Testbed(mistaken, tmp_path, cluster, redis_url, {"replay_secret": SECRET})
    made = [sent for sent in testbed.meters(100) if sent.topic == testbed.topics[1]][:2]
    for sent, mistake in zip(made, ("answer-float32", "answer-surrogate"), strict=True):
        event = json.loads(sent.value or b"")
        sent.value = json.dumps(event | {"event_id": f"{mistake} 1"}).encode()
    cluster.produce(made)
    with testbed.worker() as worker:
        worker.until("all is taken", testbed.drained)
    desk = Desk(testbed, monkeypatch)
    assert {each["reason"] for each in desk.letters()} == {"invalid-answer"}
    report = desk.json("replay", "--everything", status=1)
    assert report["only_decoded"] is None
    assert report["obstacles"]["would fail again"]["count"] == 2


def test_who_and_why_may_be_any_bytes_of_a_terminal(hand: Hand, desk: Desk) -> None:
    """They are written as characters, so that the mark can be read."""
    fill(hand, 2)
    places = [each["letter"] for each in desk.letters()]
    words = ("--by", "anna\udcff", "--note", "\x1b[31m" + "x" * 2_000_000, "--yes")
    desk("resolve", "--letter", places[0], *words)
    desk("replay", "--letter", places[1], *words)
    assert desk.letters() == []
    told = desk("show", places[0]).output
    assert r"by anna\udcff: \x1b[31mxxx" in told


@pytest.mark.parametrize("harm", ["decode abort", "decode hang"])
def test_a_letter_whose_record_ended_a_worker_does_not_end_the_command(
    cluster: Cluster, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    """It is tried in a process of its own, and its neighbours are replayed."""
    testbed = Testbed(hostile, tmp_path, cluster, NO_REDIS, {"work_deadline_seconds": 5})
    hand = Hand(testbed)
    hand.send(1, value=hostile.ticket(harm))
    hand.send(1)
    reason = b"process-crash" if "abort" in harm else b"process-hang"
    hand.bury([0], stage=b"decode", reason=reason)
    hand.bury([1], stage=b"decode", reason=b"process-crash")
    monkeypatch.setenv("TEST_TOPIC_SUFFIX", testbed.suffix)
    report = Desk(testbed, monkeypatch).json("replay", "--everything", "--yes", status=1)
    assert report["replayed"] == 1
    (example,) = report["obstacles"]["would fail again"]["examples"]
    assert "tried alone in a child process, it" in example["detail"]
    assert replays(hand) == {hand.origin(1): 1}
