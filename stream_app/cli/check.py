"""``stream-app check``: everything that a start checks and needs no service for."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import click

from stream_app.cli.common import chosen_usecase, usecase_argument
from stream_app.config.settings import Settings
from stream_app.features.usecase import UseCase
from stream_app.text.causes import FeatureError

__all__ = ["command"]

_WRONG = 2


@click.command("check", short_help="Check a use case and its models, without any service.")
@usecase_argument
@click.option(
    "--log",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Run the functions of the declaration over this log too.",
)
def command(usecase: str | None, log: Path | None) -> int:
    """Check a use case and its model versions, without Kafka and Redis, in seconds.

    Looked at are topics and decoders, columns where nothing is known, and of each model version its
    files, its feature declaration, its graph, its golden vectors and events and the answers made of
    them. What is wrong is told on a line of stderr each, with what to do. What of the declaration no
    golden event reaches is named too: a change there would go unnoticed.

    Where a version is not trained yet, the functions are run over the golden events of the versions
    beside it, and over a log that --log names, in the form that training reads.

    \b
    Example:
      stream-app check features.flights:usecase
      stream-app check features.flights:usecase --log log.jsonl

    Exit status: 0 where the worker would take its models, else 2: also where one is not trained yet.
    """
    from stream_app.models.declaration_faults import declaration_faults
    from stream_app.models.usecase_faults import usecase_faults

    settings = Settings.load(usecase=usecase)
    chosen = chosen_usecase(settings)
    faults = _Faults(list(usecase_faults(chosen)))
    if any(declaration_faults(chosen)):
        return _ended(faults)
    if not faults:
        columns = len(chosen.features.columns)
        click.echo(f"ok  {chosen.name}: {len(chosen.topics)} topics, {columns} columns")
        _print_ways(chosen)
    if log is not None:
        _check_log(chosen, log, faults)
    for name in chosen.models:
        _check_version(chosen, settings.artifacts / name, faults)
    return _ended(faults)


class _Faults:
    """What is wrong, a sentence each: a function that raises for log and version is one fault."""

    def __init__(self, told: list[str]) -> None:
        self.told = told
        self._functions: set[str] = set()

    def __bool__(self) -> bool:
        return bool(self.told)

    def add(self, fault: Exception | str) -> None:
        """Tell it, unless it is that of a function that was told already."""
        cause = fault.__cause__ if isinstance(fault, Exception) else None
        if isinstance(cause, FeatureError):
            if str(cause) in self._functions:
                return
            self._functions.add(str(cause))
        self.told.append(str(fault))


def _ended(faults: _Faults) -> int:
    """Tell the faults on stderr; return the exit status."""
    for fault in faults.told:
        click.echo(f"stream-app check: {' '.join(fault.split())}", err=True)
    return _WRONG if faults else 0


def _check_log(usecase: UseCase, path: Path, faults: _Faults) -> None:
    """Run the functions of the declaration over a log."""
    from stream_app.training.errors import LogError, MatrixError
    from stream_app.training.log import read_log
    from stream_app.training.make_matrix import make_matrix

    try:
        matrix = make_matrix(usecase, read_log(path))
    except (LogError, MatrixError) as error:
        faults.add(error)
        return
    click.echo(f"ok  {path}: {len(matrix):,} rows")
    for column in matrix.never_known:
        click.echo(f"    no row has a value in {column}")


def _check_version(usecase: UseCase, folder: Path, faults: _Faults) -> None:
    """Load a version as the worker does, and name what its golden events do not reach."""
    from stream_app.features.model_version.folder import read_version
    from stream_app.features.model_version.manifest import NotTrainedError
    from stream_app.models.errors import ModelRefusedError
    from stream_app.models.loading import load_version
    from stream_app.training.answer_reach import unreached_in_answer
    from stream_app.training.golden_events import unreached

    if not folder.exists():
        faults.add(f"{NotTrainedError(folder)} Nothing was scored.")
        for failing in _failing_functions(usecase, folder.parent):
            faults.add(failing)
        return
    try:
        model = load_version(folder, usecase)
    except ModelRefusedError as error:
        faults.add(error)
        return
    click.echo(f"ok  {folder}: {model}, {len(model.manifest.columns())} columns")
    version = read_version(folder)
    missed = unreached(usecase, version.golden_events)
    for what in (*missed, *unreached_in_answer(usecase, model, version)):
        click.echo(f"    its golden events do not reach {what}")


def _print_ways(usecase: UseCase) -> None:
    """By what events are decoded, a line for all that msgspec does, and one for each reason why not."""
    ways: dict[str | None, dict[str, None]] = {}
    for topic in usecase.topics:
        for event, why in topic.decoder.ways():
            ways.setdefault(why, {})[event.__name__] = None
    for why, names in ways.items():
        how = "by msgspec" if why is None else "by pydantic"
        click.echo(f"    decoded {how}: {', '.join(names)}{'' if why is None else f' ({why})'}")


def _failing_functions(usecase: UseCase, folder: Path) -> Iterator[Exception]:
    """What fails in the golden events of the versions that are in a folder."""
    from stream_app.features.model_version.folder import read_version
    from stream_app.features.model_version.manifest import ModelVersionError
    from stream_app.models.errors import ModelRefusedError
    from stream_app.models.replay_check import replayed

    for other in sorted(folder.iterdir()) if folder.is_dir() else ():
        try:
            version = read_version(other)
            replayed(version.manifest, usecase.features, usecase.topics, version.golden_events)
        except ModelVersionError:
            continue  # nobody serves it
        except ModelRefusedError as error:
            yield error
