"""A worker may end with a sentence that a fault allows, and with nothing else."""

import pytest

from tests.chaos.exits import Exit, judge_exits

SENTENCE = "2026-01-01T00:00:00.000Z CRITICAL stream_app.app cannot go on: the topic events was made anew\n"
NOISE = "2026-01-01T00:00:00.000Z WARNING stream_app.app kafka is away\n"
TRACEBACK = (
    "2026-01-01T00:00:00.000Z CRITICAL stream_app.app cannot go on: boom\n"
    "Traceback (most recent call last):\n"
    '  File "x.py", line 1, in <module>\n'
    "ValueError: boom\n"
)
ALLOWED = ["made anew"]


def ended(log: str, code: int | None = 1) -> list[str]:
    """What is wrong with a worker that ended so."""
    return judge_exits([Exit(0, "ended by itself", code, log)], ALLOWED)


@pytest.mark.parametrize("code", [1, 2])
def test_a_sentence_that_is_allowed_is_no_problem(code: int) -> None:
    """Whatever stood before it, and what librdkafka says behind it."""
    assert ended(NOISE + SENTENCE + NOISE, code) == []


@pytest.mark.parametrize(
    ("log", "code", "told"),
    [
        (NOISE, 1, "no sentence"),
        (SENTENCE.replace("made anew", "gone"), 1, "no fault of the round allows it"),
        (TRACEBACK, 1, "a traceback: ValueError: boom"),
        (TRACEBACK + SENTENCE, 1, "a traceback"),
        (SENTENCE + "Fatal Python error: Segmentation fault\n", -11, "a native crash"),
        (SENTENCE, 0, "exit status 0"),
        (SENTENCE, -9, "exit status -9"),
        (SENTENCE, None, "exit status None"),
    ],
)
def test_any_other_end_is_a_problem(log: str, code: int | None, told: str) -> None:
    """Without a sentence, with another, with a traceback, by a signal, or not at all."""
    (problem,) = ended(log, code)
    assert problem.startswith("worker 0 ended by itself: ")
    assert told in problem
