"""The command line: ``transcribe FILE… -o DIR``, ``transcribe up`` and the other commands."""

from __future__ import annotations

import os
import sys
from difflib import get_close_matches
from importlib import import_module
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

from core.settings import settings
from transcribe_api.cli.service import (
    EXIT_CODES,
    INTERRUPTED,
    PORT,
    data_dir_option,
    exit_on_errors,
    exit_on_signals,
    tell_operator,
    use_data_dir,
)

#: The module of each command; imported only when used, since some need many libraries.
_COMMANDS = {
    "files": "files",
    "backup": "backup",
    "restore": "backup",
    "jobs": "jobs",
    "keys": "keys",
    "webhooks": "webhooks",
    "riva-sim": "riva_sim",
    "models": "models",
    "doctor": "models",
    "subtitles": "subtitles",
    "bench": "bench",
    "completion": "completion",
}


class _FilesFirstGroup(click.Group):
    """A group whose first word may also be a file or an option of ``files``."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return sorted([*super().list_commands(ctx), *_COMMANDS])

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in _COMMANDS:
            return super().get_command(ctx, cmd_name)
        module = import_module(f"transcribe_api.cli.{_COMMANDS[cmd_name]}")
        command: click.Command = getattr(module, cmd_name.replace("-", "_"))
        return command

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        reserved = (*self.list_commands(ctx), "--help", "--version")
        if args and args[0] not in reserved:
            self._refuse_mistyped(ctx, args[0])
            args = ["files", *args]
        return super().parse_args(ctx, args)

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:  # Click would exit with 1
            sys.exit(INTERRUPTED)

    def _refuse_mistyped(self, ctx: click.Context, word: str) -> None:
        """Fail if *word* looks like a command and no such file exists."""
        if ctx.resilient_parsing or not word.isidentifier() or Path(word).exists():
            return
        matches = get_close_matches(word, self.list_commands(ctx), 1)
        suggestion = f"; did you mean {matches[0]!r}?" if matches else ""
        ctx.fail(f"{word!r} is not a command, and there is no such file{suggestion}")

    def shell_complete(self, ctx: click.Context, incomplete: str) -> list[CompletionItem]:
        return [
            *super().shell_complete(ctx, incomplete),
            CompletionItem(incomplete, type="file"),
        ]


@click.group(cls=_FilesFirstGroup, no_args_is_help=True, epilog=EXIT_CODES)
@click.version_option(package_name="chordscribe", prog_name="transcribe")
def main() -> None:
    """Speaker-labelled transcripts of recordings of any length.

    \b
    transcribe FILE... -o DIR    transcribe files and write the results into DIR
    transcribe --watch DIR       the same with every file that appears in a folder
    transcribe files --help      all options of these two
    transcribe up                run the service with page, workers and queue on this machine
    transcribe jobs list         list the jobs of a running service
    transcribe keys create NAME  create a key, for a service that others can reach
    transcribe backup TO         copy all data of the service into one file, while it runs
    """


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", type=PORT, default=8000, show_default=True,
              help="Port to listen on; 0: a free one.")  # fmt: skip
@data_dir_option
@click.option(
    "--workers",
    type=click.IntRange(min=0),
    default=0,
    help="Processes of each speech engine; 0: one per core.",
)
@click.option("--flower/--no-flower", default=True, show_default=True,
              help="Flower shows workers and tasks; it listens only on this machine.")  # fmt: skip
@click.option("--flower-port", type=PORT, default=0, show_default=True,
              help="Its port; 0: a free one.")  # fmt: skip
@click.option("--parent", type=int, hidden=True, help="Stop when this process ends.")
def up(
    host: str, port: int, data_dir: Path | None, workers: int, flower: bool, flower_port: int,
    parent: int | None,
) -> None:  # fmt: skip
    """Run the whole service on this machine, until Ctrl-C."""
    use_data_dir(data_dir)
    from transcribe_api.stack.supervisor import Stack  # after the settings are known

    with (
        exit_on_signals(),
        exit_on_errors(),
        Stack(
            host=host,
            port=port,
            workers=workers,
            flower=flower_port if flower else None,
            notify=tell_operator,
        ) as stack,
    ):
        try:
            click.echo(f"The service is running at {stack.url}; stop it with Ctrl-C.")
            if stack.flower_url:
                click.echo(
                    f"Flower is running at {stack.flower_url}; login: {_describe_flower_login()}"
                )
            click.echo(f"Logs: {stack.logs}")
            stack.watch(lambda: parent is None or os.getppid() == parent)
        except KeyboardInterrupt:
            click.echo("Stopping.")


def _describe_flower_login() -> str:
    """Return the login for a terminal; output to a file must not contain a password."""
    if sys.stdout.isatty():
        from transcribe_api.stack import flower as stack_flower  # which needs the database

        return stack_flower.credentials()
    return f"flower_login in {settings().transcribe_data_dir / 'stack.json'}"
