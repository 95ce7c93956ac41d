"""The results file: a line of JSON a round; and the table that adds them up.

`python -m tests.chaos.results` prints the tables; `--write` puts them into `docs/chaos.md`, or another
page, between the markers.
"""

import argparse
import json
import subprocess
import sys
from collections import Counter
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

__all__ = ["PAGE", "RESULTS", "Result", "append", "commit", "read", "table", "write"]

ROOT = Path(__file__).parents[2]
RESULTS = ROOT / "docs" / "chaos-results.jsonl"
PAGE = ROOT / "docs" / "chaos.md"

BEGIN = "<!-- Begin of the table: `python -m tests.chaos.results --write` makes it. -->"
END = "<!-- End of the table. -->"

_COLUMNS = (
    "delivery", "rounds", "passed", "faults", "in rounds that passed", "records", "lost", "double",
    "state equal", "worker starts",
)  # fmt: skip


@dataclass(frozen=True)
class Result:
    """What a round is remembered by."""

    seed: int
    commit: str
    """What was tested; `+` behind it: with changes that were not committed."""
    mode: str
    brokers: int
    group_protocol: str
    faults: dict[str, int]
    """How many of each kind."""
    records: int
    """Records in the event topics."""
    predictions: int
    """How many of them ask for a prediction."""
    dead_letters: int
    """How many of them are no events."""
    lost: int
    double: int
    """Predictions and dead letters beyond the first of their record, as a consumer sees them that
    reads committed records."""
    differing: int
    """Records with copies whose values differ, see `verdict.Fates`."""
    state_equal: bool
    worker_starts: int
    worker_exits: int
    """How often a worker ended by itself, or other than it was told to."""
    seconds: float
    # Lines of earlier rounds have none of these.
    entities: int = 0
    """How many entities the events were about."""
    wrong_ends: int = 0
    """Those of the ends that no fault of the round allows, or that were no sentence."""
    broken: int = 0
    """Answers without a value or a key, against their contract, or of another event."""
    gone: int = 0
    """Records that went with a deleted topic before anybody had committed them."""
    peak_memory_mib: int = 0
    """The most memory that any worker held."""
    audit: str = ""
    """How the audit disagreed with the verdict; empty: it did not."""
    problems: tuple[str, ...] = ()
    """Why the round failed; empty: it did not, where the line knows of `entities`."""


def commit() -> str:
    """The commit that is checked out here."""

    def git(*arguments: str) -> str:
        found = subprocess.run(
            ["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=True
        )
        return found.stdout.strip()

    try:
        # The results themselves change while rounds are played.
        changed = git("status", "--porcelain", "--untracked-files=no", "--", ".", ":!docs")
        return git("rev-parse", "--short=12", "HEAD") + ("+" if changed else "")
    except (OSError, subprocess.CalledProcessError):
        return "unknown"


def append(result: Result, file: Path) -> None:
    """Add a line."""
    file.parent.mkdir(parents=True, exist_ok=True)
    with file.open("a") as lines:
        lines.write(json.dumps(asdict(result)) + "\n")


def read(file: Path) -> list[Result]:
    """All results of a file; none if there is no file."""
    if not file.exists():
        return []
    lines = [json.loads(line) for line in file.read_text().splitlines() if line]
    return [Result(**line | {"problems": tuple(line.get("problems", ()))}) for line in lines]


def table(results: Iterable[Result]) -> str:
    """The results by delivery mode, and the faults by kind, as two tables in Markdown."""
    by_mode: dict[str, list[Result]] = {}
    for result in results:
        by_mode.setdefault(result.mode, []).append(result)
    modes = sorted(by_mode)
    lines = [
        "| " + " | ".join(_COLUMNS) + " |",
        "|---" * len(_COLUMNS) + "|",
    ]
    faults: dict[str, Counter[str]] = {}
    for mode in modes:
        found = by_mode[mode]
        faults[mode] = sum((Counter(result.faults) for result in found), Counter())
        equal = sum(result.state_equal for result in found)
        passed = [sum(result.faults.values()) for result in found if not result.problems]
        lines.append(
            f"| `{mode}` | {len(found)} | {len(passed)} | {faults[mode].total()} | {sum(passed)} "
            f"| {sum(r.records for r in found):,} | {sum(r.lost for r in found)} "
            f"| {sum(r.double for r in found):,} | {equal} of {len(found)} "
            f"| {sum(r.worker_starts for r in found)} |"
        )
    lines += ["", "| fault | " + " | ".join(f"`{mode}`" for mode in modes) + " |"]
    lines.append("|---|" + "---|" * len(modes))
    for kind in sorted(set().union(*faults.values())):
        lines.append(f"| {kind} | " + " | ".join(str(faults[mode][kind]) for mode in modes) + " |")
    return "\n".join(lines)


def write(page: Path, made: str) -> None:
    """Replace what lies between the markers of `page`."""
    text = page.read_text()
    before, found, rest = text.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not (found and ended):
        raise SystemExit(f"{page} has no markers: {BEGIN} and {END}")
    page.write_text(f"{before}{BEGIN}\n\n{made}\n\n{END}{after}")


def main(arguments: list[str] | None = None) -> None:
    """Print the table or write it into a page."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos.results", description=__doc__)
    parser.add_argument("--results", type=Path, default=RESULTS, help="the results file")
    parser.add_argument(
        "--write", type=Path, nargs="?", const=PAGE, metavar="PAGE", help="a page to write it into"
    )
    chosen = parser.parse_args(arguments)
    made = table(read(chosen.results))
    if chosen.write is None:
        sys.stdout.write(made + "\n")
    else:
        write(chosen.write, made)


if __name__ == "__main__":
    main()
