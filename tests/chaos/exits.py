"""How workers ended that nobody had ended, and whether they were right to.

Some faults rightly end a worker: a person has to act. Then it says so in one sentence, as its last
CRITICAL line, without a traceback. Whatever ends otherwise is a bug.
"""

import re
from collections.abc import Collection, Sequence
from dataclasses import dataclass

__all__ = ["Exit", "judge_exits"]

_TRACEBACK = "Traceback (most recent call last)"
_NATIVE_CRASH = "Fatal Python error"
"""What Python's faulthandler writes when one has happened."""
_SENTENCE = re.compile(r"^\S+ CRITICAL \S+ (?:cannot go on: )?(?P<sentence>.*)$")
_WRONG_SETTINGS = 2


@dataclass(frozen=True)
class Exit:
    """One worker's end."""

    worker: int
    what: str
    """In words: ended by itself, still ran ... after SIGTERM."""
    code: int | None
    """Exit status; None: it had not ended."""
    log: str
    """What it wrote since it was started."""

    @property
    def sentence(self) -> str:
        """The last CRITICAL line; empty: there is none."""
        for line in reversed(self.log.splitlines()):
            if found := _SENTENCE.match(line):
                return found["sentence"]
        return ""

    def allowed(self, patterns: Collection[str]) -> bool:
        """Whether its sentence is one of these."""
        return any(re.search(pattern, self.sentence) for pattern in patterns)

    def problem(self, allowed: Collection[str]) -> str:
        """Why it should not have ended like this; empty: it was right to.

        `allowed`: patterns of sentences that the round's faults may bring about.
        """
        if _NATIVE_CRASH in self.log:
            return "a native crash"
        if _TRACEBACK in self.log:
            return f"a traceback: {_last_line_of_traceback(self.log)}"
        if self.code not in (1, _WRONG_SETTINGS):
            return f"exit status {self.code}"
        if not self.sentence:
            return "no sentence that says why"
        if not self.allowed(allowed):
            return f"no fault of the round allows it: {self.sentence[:300]}"
        return ""

    def __str__(self) -> str:
        """For people, with the end of its log, librdkafka's complaints about connections left out."""
        kept = [line for line in self.log.splitlines() if " librdkafka " not in line]
        return "\n".join([f"worker {self.worker} {self.what} ({self.code}):", *kept[-60:]])


def judge_exits(exits: Sequence[Exit], allowed: Collection[str]) -> list[str]:
    """A sentence for each that should not have been."""
    return [
        f"worker {each.worker} {each.what}: {problem}"
        for each in exits
        if (problem := each.problem(allowed))
    ]


def _last_line_of_traceback(log: str) -> str:
    """The line that names the exception of the last traceback."""
    lines = log[log.rindex(_TRACEBACK) :].splitlines()[1:]
    ended = [line for line in lines if line and not line.startswith((" ", "\t"))]
    return ended[0][:300] if ended else "cut off"
