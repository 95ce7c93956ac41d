"""Messages are asked for few at once, for what the library makes of them lives until they are taken."""

from typing import Any

import pytest

from stream_app.kafka.slices import messages


class Log:
    """A consumer with so many messages."""

    def __init__(self, count: int) -> None:
        self.left = list(range(count))
        self.given = 0
        self.taken = 0
        self.most = 0

    def consume(self, count: int, _seconds: float) -> list[int]:
        """The next."""
        answer, self.left = self.left[:count], self.left[count:]
        self.given += len(answer)
        self.most = max(self.most, self.given - self.taken)
        return answer


@pytest.mark.parametrize(("there", "most"), [(0, 10), (5, 10), (100, 50), (100, 1_000), (64, 64)])
def test_all_are_given_and_few_are_held(there: int, most: int) -> None:
    """What was given is taken before more is asked for."""
    log: Any = Log(there)
    found = []
    for message in messages(log, most, 0.0, lambda: None):
        log.taken += 1
        found.append(message)
    assert found == list(range(min(there, most)))
    assert log.most <= 16


def test_nothing_is_given_of_an_answer_that_does_not_pass() -> None:
    """The check comes first."""

    def refuse() -> None:
        raise LookupError

    with pytest.raises(LookupError):
        next(messages(Log(5), 10, 0.0, refuse))  # type: ignore[arg-type]
