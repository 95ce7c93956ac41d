"""``stream-app new``: begin a project."""

from __future__ import annotations

import shlex
from pathlib import Path

import click

__all__ = ["command"]


@click.command("new", short_help="Begin a project: a use case, its training and its tests.")
@click.argument("name")
@click.option(
    "--from",
    "model",
    type=click.Path(exists=True, dir_okay=False, path_type=Path),
    metavar="MODEL.ONNX",
    help="Begin from this model: a field of the event for each column that it takes.",
)
@click.option(
    "--directory", type=click.Path(path_type=Path), help="Where to write it. Default: ./NAME"
)
def command(name: str, model: Path | None, directory: Path | None) -> None:
    """Begin a project: a use case with its events, features, training, tests and image.

    NAME is that of its package and its topics. Without --from it is an example, whether an order will be
    returned, that is trained on a made-up log and to be changed into your own; with it, nothing is trained and every column is a field of the event. The project's
    README has the commands from there to a served prediction.

    \b
    Example:
      stream-app new orders
      stream-app new risk --from model.onnx --directory services/risk

    Exit status: 0, or 2 where the name, the folder or the model will not do.
    """
    from stream_app.scaffold.project import install_command, write_project

    folder = directory or Path(name)
    for path in write_project(name, folder, model):
        click.echo(f"  {folder / path}")
    click.echo("\nNext, and then as its README.md says:\n")
    for line in (f"cd {shlex.quote(str(folder))}", "python3 -m venv .venv", install_command()):
        click.echo(f"  {line}")
