"""What people say of what they did."""

import click
from click.testing import CliRunner

from stream_app.cli.words import Words


def test_whatever_a_terminal_gives_is_a_short_line_of_characters() -> None:
    """Bytes that are no UTF-8 come as halves of surrogate pairs, which no JSON can hold."""

    @click.command
    @click.option("--by", type=Words(20), default=lambda: "anna\udcff")
    def command(by: str) -> None:
        click.echo(by)

    assert CliRunner().invoke(command, []).stdout == "anna\\udcff\n"
    assert CliRunner().invoke(command, ["--by", "a\nb\x1b[0m"]).stdout == "a\\nb\\x1b[0m\n"
    assert len(CliRunner().invoke(command, ["--by", "x" * 100]).stdout) == 21
