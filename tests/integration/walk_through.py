"""A page that is walked through: its commands with what they print, and the changes it asks for."""

import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_BLOCK = re.compile(
    r"(?ms)(?:in `(?P<file>[^`]+)`:\n\n)?^```(?P<kind>console|diff)\n(?P<text>.*?)^```$"
)


@dataclass(frozen=True)
class Command:
    """A line to type, and what it prints."""

    line: str
    expected: str

    def check(self, printed: str) -> None:
        """Spaces and line ends apart, what was printed is what the page has, but for its dots."""
        parts = [re.escape("".join(part.split())) for part in self.expected.split("...")]
        assert re.fullmatch(".*?".join(parts), "".join(printed.split())), (
            f"{self.line}\n{printed}\n{self.expected}"
        )


@dataclass(frozen=True)
class Change:
    """Lines of a file that are replaced."""

    file: str
    old: str
    new: str

    def make(self, folder: Path) -> None:
        """Replace them, where they stand once."""
        path = folder / self.file
        text = path.read_text()
        assert text.count(self.old) == 1, f"{self.file} does not hold once: {self.old}"
        path.write_text(text.replace(self.old, self.new))


def steps(page: str) -> Iterator[Command | Change]:
    """Commands and changes of a page, in their order."""
    for block in _BLOCK.finditer(page):
        if block["kind"] == "diff":
            lines = block["text"].splitlines(keepends=True)
            old, new = ("".join(x[1:] for x in lines if x[0] in f" {sign}") for sign in "-+")
            yield Change(block["file"], old, new)
        else:
            for part in re.split(r"(?m)^\$ ", block["text"])[1:]:
                line, _, expected = part.partition("\n")
                yield Command(line, expected)
