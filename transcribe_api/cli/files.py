"""``transcribe FILE… -o DIR`` and ``transcribe --watch DIR``."""

from __future__ import annotations

import json
import os
import sys
import time
import uuid
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO, Any, NoReturn

import click
from click.core import ParameterSource
from rich.console import Console

from transcribe_api.cli.formats import FORMATS_HELP, Formats
from transcribe_api.cli.jsonl_output import JsonlOutput
from transcribe_api.cli.progress_bars import ProgressBars
from transcribe_api.cli.service import (
    DONE,
    EXIT_CODES,
    INTERRUPTED,
    NOT_DONE,
    exit_on_errors,
    exit_on_signals,
    open_service,
)
from transcribe_api.cli.watch_folder import WatchFolder
from transcribe_api.client import Client, ServiceError, Unreachable
from transcribe_api.folder_names import build_folder_name, choose_folder_name
from transcribe_api.python.batch_client import BatchClient, ProgressDisplay

#: Boost of a term whose line has none.
DEFAULT_BOOST = 20.0
#: Seconds for which an interrupted command waits for responses to requests in progress.
SEND_SECONDS = 10.0
#: Seconds between two checks of a watched folder.
POLL_SECONDS = 1.0


class _Speakers(click.ParamType[dict[str, int]]):
    """A number of speakers: 2, or 2-4."""

    name = "speakers"

    def convert(self, value: Any, param: Any, ctx: Any) -> dict[str, int]:
        minimum, _, maximum = str(value).partition("-")
        if not minimum.isdecimal() or not (maximum or minimum).isdecimal():
            self.fail(f"{value!r} is not a number such as 2 or a range such as 2-4", param, ctx)
        return {"min_speakers": int(minimum), "max_speakers": int(maximum or minimum)}


class _Recording(click.Path):
    """A file; for a folder, the error explains how to transcribe all files in it."""

    def __init__(self) -> None:
        super().__init__(exists=True, path_type=Path)

    def convert(self, value: Any, param: Any, ctx: Any) -> Path:
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if path.is_dir():
            name = click.format_filename(path)
            self.fail(f"{name!r} is a folder: list its files, or use --watch {name}", param, ctx)
        return path


@click.command(epilog=EXIT_CODES, short_help="Transcribe FILES, or new files of a folder.")
@click.argument("files", nargs=-1, type=_Recording())
@click.option(
    "-o", "--output", default=Path("transcripts"), type=click.Path(file_okay=False, path_type=Path),
    help="Directory for the results. With several files, or if it has results of another "
    "recording, it gets one directory per file.",
    show_default=True,
)  # fmt: skip
@click.option(
    "--watch",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    help="Transcribe all files in this folder, including new ones, until Ctrl-C.",
)
@click.option(
    "--format",
    "formats",
    type=Formats(),
    default=None,
    metavar="NAMES",
    help=FORMATS_HELP,
)
@click.option("--engine", help="Speech engine, such as whisper; auto: the best available.")
@click.option("--model", help="Model of the engine, if it has several.")
@click.option("--language", help="Language tag such as en-US; auto: detect it.")
@click.option(
    "--prompt",
    "initial_prompt",
    help="Prompt for Whisper: names, spelling, script.",
)
@click.option("--diarizer", help="Diarizer; 'none' for no speakers.")
@click.option("--speakers", type=_Speakers(), metavar="N|MIN-MAX", help="Number of speakers.")
@click.option("--min-speakers", type=int, help="Minimum number of speakers.")
@click.option("--max-speakers", type=int, help="Maximum number of speakers.")
@click.option(
    "--channels",
    type=click.Choice(["mix", "separate"]),
    help="separate: each channel of the recording is a speaker.",
)
@click.option(
    "--track",
    metavar="N|LANGUAGE|all",
    help="Audio track of a recording with several: its number, its language, or all.",
)
@click.option("--context", metavar="NAME|ID", help="A context of the service, with its terms.")
@click.option(
    "--terms",
    type=click.File(),
    metavar="FILE",
    help="Expected terms, one per line, optionally with a tab and a boost (default 20).",
)
@click.option("--priority", type=click.Choice(["high", "normal", "low"]))
@click.option(
    "--json",
    "as_json",
    is_flag=True,
    help="Print all events on standard output, one JSON object per line.",
)
@click.option(
    "--detach", is_flag=True,
    help="Do not wait: print each file with the id of its job.",
)  # fmt: skip
@click.option("--url", help="Address of a service; overrides TRANSCRIBE_URL.")
@click.option(
    "--private",
    "is_private",
    is_flag=True,
    help="Use a private service that ends with the command.",
)
@click.option(
    "--workers",
    default=0,
    help="As --private, with this many processes of the engine; default: one per core.",
)
def files(
    files: Sequence[Path], output: Path, watch: Path | None, formats: Sequence[str] | None,
    speakers: Mapping[str, int] | None, context: str | None, terms: IO[str] | None, as_json: bool,
    detach: bool, url: str | None, is_private: bool, workers: int, **options: Any,
) -> None:  # fmt: skip
    """Transcribe FILES and write the results into a directory.

    Uses the service at --url or TRANSCRIBE_URL, else that of `transcribe up` on this machine if it
    runs, else a private service that ends with the command.
    """
    if bool(files) == (watch is not None):
        raise click.UsageError("give recordings, or a folder with --watch")
    if detach:
        _refuse_results()
    if context and terms:
        raise click.UsageError("--context and --terms cannot be combined")
    if url and (is_private or workers):
        raise click.UsageError("--url selects a service; --private and --workers start another one")
    job_options = {**options, **(speakers or {})}
    with (
        exit_on_errors(),
        exit_on_signals(INTERRUPTED if watch is None else DONE),
        open_service(url, workers, options, is_private=is_private) as service,
        JsonlOutput() if as_json else ProgressBars(Console(stderr=True)) as display,
        _JobContext(service.client, context, terms) as job_context,
    ):
        job_options["context_id"] = job_context.context_id
        batch = BatchClient(service.client, job_options, display, formats or (), is_detached=detach)
        if detach and service.is_private:
            raise click.UsageError(
                "--detach needs a running service: start one with `transcribe up`"
            )
        try:
            if watch is not None:
                _watch(
                    batch, watch, output, display, service.client if service.is_private else None
                )
            is_done = _transcribe(batch, _choose_targets(files, output), display)
        finally:
            if not service.is_private:
                _print_unsent(batch.stop_sending(SEND_SECONDS))
            job_context.is_needed = bool(batch.open_jobs) and not service.is_private
            if job_context.is_needed and not detach:
                _print_open_jobs(batch.open_jobs)
    sys.exit(DONE if is_done else NOT_DONE)


def _refuse_results() -> None:
    """Raise `UsageError` if options for the results are given together with --detach."""
    source = click.get_current_context().get_parameter_source
    for name, option in (("output", "-o"), ("formats", "--format")):
        if source(name) is ParameterSource.COMMANDLINE:
            raise click.UsageError(
                f"{option} cannot be combined with --detach, which does not wait for results; "
                "`transcribe jobs follow JOB_ID -o DIR` writes them later"
            )


def _print_unsent(files: Sequence[Path]) -> None:
    """Print the files that the service may have received although no response arrived."""
    for file in files:
        click.echo(
            f"{click.format_filename(file)}: was still being sent; `transcribe jobs list` shows "
            "whether the service received it",
            err=True,
        )


def _print_open_jobs(job_ids: Sequence[str]) -> None:
    """Print how to manage jobs that continue without this command."""
    click.echo(
        f"The service continues {len(job_ids)} job{'s' * (len(job_ids) > 1)}. To wait for them and "
        "write the results: `transcribe jobs follow JOB_ID -o DIR`; to show them: "
        "`transcribe jobs show JOB_ID`; to cancel them: `transcribe jobs cancel JOB_ID`.",
        err=True,
    )
    for job_id in job_ids:
        click.echo(job_id, err=True)


def _transcribe(batch: BatchClient, targets: Mapping[Path, Path], display: ProgressDisplay) -> bool:
    """Transcribe all files concurrently; return whether all succeeded."""
    for file, output in targets.items():
        display.show_start(file)
        batch.enqueue(file, output)
    is_done = True
    for _ in targets:
        outcome = batch.next_outcome()
        assert outcome is not None
        display.show_outcome(outcome)
        is_done &= outcome.reason is None
    return is_done


def _watch(
    batch: BatchClient,
    folder: Path,
    results: Path,
    display: ProgressDisplay,
    own_client: Client | None,
) -> NoReturn:
    """Transcribe the files of a folder and new ones. *own_client*: client of a private service."""
    watch_folder = WatchFolder(folder, results)
    while True:
        for file in watch_folder.list_ready(time.monotonic()):
            display.show_start(file)
            batch.enqueue(file, results / watch_folder.folder_name(file))
        while outcome := batch.next_outcome(timeout=POLL_SECONDS):
            display.show_outcome(outcome)
            if not outcome.is_temporary:
                watch_folder.mark_done(outcome.file, job_id=outcome.job_id, reason=outcome.reason)
                continue
            watch_folder.retry_later(outcome.file, time.monotonic())
            if own_client is not None:
                own_client.ping()  # if a private service has ended, there is nothing to wait for


def _choose_targets(files: Sequence[Path], output: Path) -> dict[Path, Path]:
    """Return the results directory of each file: *output* for one file, else a folder in it.

    If *output* already has the results of another recording, one file gets a folder, too.
    """
    if len(files) == 1 and not _has_other_results(output, files[0]):
        return {files[0]: output}
    names: dict[Path, str] = {}
    for file in dict.fromkeys(files):
        names[file] = choose_folder_name(file.name, names.values())
    return {file: output / name for file, name in names.items()}


def _has_other_results(output: Path, file: Path) -> bool:
    """Return whether the directory contains the results of a recording with another name."""
    try:
        recording_name = json.loads((output / "final_transcription.json").read_text())["file_path"]
        return bool(build_folder_name(str(recording_name)) != build_folder_name(file.name))
    except (OSError, ValueError, LookupError, TypeError):
        return False


class _JobContext:
    """A context of the service: a named one, or a temporary one for --terms."""

    def __init__(self, client: Client, name: str | None, terms: IO[str] | None) -> None:
        self._client, self._name, self._terms = client, name, terms
        self._created_id: str | None = None
        self.context_id: str | None = None
        #: Jobs that continue without this command need it.
        self.is_needed = False

    def __enter__(self) -> _JobContext:
        if self._terms is not None:
            response = self._client.create_context("command line", _read_terms(self._terms))
            self._created_id = self.context_id = str(response["context_id"])
        elif self._name:
            self.context_id = _find_context_id(self._client, self._name)
        return self

    def __exit__(self, *_: object) -> None:
        if self._created_id and not self.is_needed:
            with suppress(ServiceError, Unreachable):
                self._client.delete_context(self._created_id)


def _find_context_id(client: Client, name_or_id: str) -> str:
    with suppress(ValueError):
        return str(uuid.UUID(name_or_id))
    page = client.contexts()
    while True:
        for context in page["contexts"]:
            if context["name"] == name_or_id:
                return str(context["context_id"])
        if page["next_cursor"] is None:
            raise click.BadParameter(f"there is no context {name_or_id!r}", param_hint="--context")
        page = client.contexts(cursor=page["next_cursor"])


def _read_terms(file: IO[str]) -> list[dict[str, Any]]:
    """Return the terms of a file: one phrase per line, optionally with a tab and its boost."""
    terms: dict[str, float] = {}
    for number, line in enumerate(file, 1):
        phrase, _, boost = line.strip().partition("\t")
        try:
            terms[phrase] = float(boost or DEFAULT_BOOST)
        except ValueError:
            message = f"line {number}: {boost.strip()!r} is not a number"
            raise click.BadParameter(message, param_hint="--terms") from None
    terms.pop("", None)
    return [{"phrase": phrase, "boost": boost} for phrase, boost in terms.items()]
