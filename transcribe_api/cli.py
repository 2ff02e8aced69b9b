"""The command line: ``transcribe FILE… -o DIR`` and ``transcribe up``.

Exit codes: 0 everything is done, 1 a file could not be transcribed, 2 wrong usage, 3 no service.
"""

from __future__ import annotations

import os
import signal
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from core.errors import TranscribeError
from core.settings import settings
from transcribe_api import watching
from transcribe_api.bars import Bars
from transcribe_api.cli_keys import keys
from transcribe_api.cli_models import doctor, models
from transcribe_api.cli_riva_sim import riva_sim
from transcribe_api.cli_subtitles import subtitles
from transcribe_api.cli_webhooks import webhooks
from transcribe_api.client import Client, Unreachable
from transcribe_api.transcribing import Outcome, transcribe

NO_SERVICE = 3


class _FilesFirst(click.Group):
    """A group whose first word may be a file instead of a command."""

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        if args and args[0] not in self.commands and args[0] not in ("--help", "--version"):
            args = ["files", *args]
        return super().parse_args(ctx, args)


@click.group(cls=_FilesFirst, no_args_is_help=True)
@click.version_option(package_name="transcribe")
def main() -> None:
    """Speaker-labelled transcripts of recordings of any length.

    \b
    transcribe FILE... -o DIR    transcribe files and write the results into DIR
    transcribe up                run the service with page, workers and queue on this machine
    transcribe keys create NAME  make a key, for a service that others can reach
    """


@main.command()
@click.argument(
    "files", nargs=-1, required=True, type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@click.option(
    "-o", "--output", default=Path("transcripts"), type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the results; with several files, one directory a file in it.",
    show_default=True,
)  # fmt: skip
@click.option("--engine", help="Speech engine; see /api/transcribe/jobs/engines.")
@click.option("--model", help="Model of the engine, where it has several.")
@click.option("--language", help="Language tag such as en-US.")
@click.option("--diarizer", help="Who finds the speakers; 'none' for nobody.")
@click.option("--min-speakers", type=int, help="Fewest speakers that there can be.")
@click.option("--max-speakers", type=int, help="Most speakers that there can be.")
@click.option("--priority", type=click.Choice(["high", "normal", "low"]))
@click.option("--workers", default=0, help="Processes of the embedded engine; 0: one a core.")
def files(files: Sequence[Path], output: Path, workers: int, **options: Any) -> None:
    """Transcribe FILES and write the results into a directory.

    Uses the service at TRANSCRIBE_URL, or one of its own that ends with the command.
    """
    targets = _targets(files, output)
    with (
        _ended_by_signals(),
        _clear_errors(),
        _service(workers) as url,
        Client(url, key=settings().transcribe_api_key) as client,
    ):
        client.ping()
        outcomes = _with_bars(client, targets, options)
    for outcome in outcomes:
        _report(outcome)
    sys.exit(1 if any(outcome.reason for outcome in outcomes) else 0)


@main.command()
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option("--port", default=8000, show_default=True, help="Port to listen on; 0: a free one.")
@click.option("--data-dir", type=click.Path(file_okay=False, path_type=Path),
              help="Where everything is kept; the same as TRANSCRIBE_DATA_DIR.")  # fmt: skip
@click.option("--workers", default=0, help="Processes of each speech engine; 0: one a core.")
@click.option("--flower/--no-flower", default=True, show_default=True,
              help="Flower shows workers and tasks, on this machine alone.")  # fmt: skip
@click.option("--flower-port", default=0, show_default=True, help="Its port; 0: a free one.")
def up(
    host: str, port: int, data_dir: Path | None, workers: int, flower: bool, flower_port: int
) -> None:
    """Run the whole service on this machine, until Ctrl-C."""
    if data_dir is not None:
        os.environ["TRANSCRIBE_DATA_DIR"] = str(data_dir)
        settings.cache_clear()
    from transcribe_api.stack import Stack  # after the settings are known

    with (
        _ended_by_signals(),
        _clear_errors(),
        Stack(
            host=host, port=port, workers=workers, flower=flower_port if flower else None
        ) as stack,
    ):
        click.echo(f"The service answers on {stack.url}; Ctrl-C ends it.")
        if stack.flower_url:
            click.echo(f"Flower answers on {stack.flower_url} to {watching.credentials()}")
        click.echo(f"Logs: {stack.logs}")
        try:
            stack.watch()
        except KeyboardInterrupt:
            click.echo("Ending.")


main.add_command(keys)
main.add_command(webhooks)
main.add_command(riva_sim)
main.add_command(models)
main.add_command(doctor)
main.add_command(subtitles)


def _targets(files: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Each file's directory: the output itself for one file, else one named after the file."""
    if len(files) == 1:
        return {files[0]: output}
    taken: dict[Path, Path] = {}
    for file in dict.fromkeys(files):
        name = file.stem if output / file.stem not in taken.values() else file.name
        while output / name in taken.values():
            name += "_"
        taken[file] = output / name
    return taken


def _with_bars(
    client: Client, targets: Mapping[Path, Path], options: Mapping[str, Any]
) -> Sequence[Outcome]:
    with Bars(Console(stderr=True), list(targets)) as bars:
        return transcribe(client, targets, options, bars.show)


def _report(outcome: Outcome) -> None:
    if outcome.reason:
        click.echo(f"{outcome.file}: {outcome.reason}", err=True)
        return
    click.echo(f"{outcome.file}: {outcome.output}")
    for warning in outcome.warnings:
        click.echo(f"{outcome.file}: {warning}", err=True)


@contextmanager
def _service(workers: int) -> Iterator[str]:
    """The address of a service: of the one that is named, or of one that ends with the block."""
    if url := settings().transcribe_url:
        yield url
        return
    with tempfile.TemporaryDirectory(prefix="transcribe-") as folder:
        os.environ["TRANSCRIBE_DATA_DIR"] = folder
        os.environ["AUTH"] = "auto"  # it listens on this machine alone, for this command alone
        settings.cache_clear()
        from transcribe_api.stack import Stack  # after the settings are known

        with Stack(port=0, workers=workers) as stack:
            yield stack.url


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """SIGTERM ends the command as Ctrl-C does: with everything cleared away."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    except KeyboardInterrupt:
        sys.exit(130)
    finally:
        signal.signal(signal.SIGTERM, before)


@contextmanager
def _clear_errors() -> Iterator[None]:
    try:
        yield
    except (TranscribeError, Unreachable) as error:
        click.echo(f"transcribe: {error}", err=True)
        sys.exit(NO_SERVICE)
