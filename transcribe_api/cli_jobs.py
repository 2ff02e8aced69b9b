"""``transcribe jobs …``: what a running service has done and is doing."""

from __future__ import annotations

import itertools
import json
import sys
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import click
from rich.console import Console

from core.settings import settings
from transcribe_api.bars import Bars
from transcribe_api.cli_formats import FORMATS_HELP, Formats
from transcribe_api.cli_service import (
    DONE,
    NOT_DONE,
    clear_errors,
    ended_by_signals,
    of_a_service,
    running,
    told,
    use_data_dir,
)
from transcribe_api.client import Client, ServiceError
from transcribe_api.lines import Lines
from transcribe_api.transcribing import follow_job

_as_json = click.option("--json", "as_json", is_flag=True, help="For programs.")
_ids = click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...")

#: Jobs that are asked for at once.
PAGE = 100
STATUSES = ("queued", "processing", "completed", "failed", "cancelled")
STAGES = ("transcribe", "diarize", "merge")


@click.group(short_help="What a running service has done and does.")
def jobs() -> None:
    """Jobs of a running service: of the one at --url or TRANSCRIBE_URL, or of `transcribe up`."""


@jobs.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only these.")
@click.option("--engine", help="Only those of an engine.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@_as_json
@of_a_service
def show_all(
    status: str | None, engine: str | None, limit: int, as_json: bool,
    url: str | None, data_dir: Path | None,
) -> None:  # fmt: skip
    """The jobs, newest first; with --json, one a line."""
    with clear_errors(), running(url, data_dir) as client:
        found = list(itertools.islice(_all(client, status=status, engine=engine), limit))
    if as_json:
        for job in found:
            told(job)
    else:
        _print_table(found)


@jobs.command()
@_ids
@_as_json
@of_a_service
def show(job_ids: Sequence[str], as_json: bool, url: str | None, data_dir: Path | None) -> None:
    """The state of jobs."""

    def one(client: Client, job_id: str) -> None:
        job = client.status(job_id)
        if as_json:
            told(job)
        else:
            _print_lines(job)

    _each(job_ids, url, data_dir, one)


@jobs.command()
@_ids
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Directory for the results; with several jobs, one a job in it.")  # fmt: skip
@click.option("--format", "formats", type=Formats(), metavar="NAMES", help=FORMATS_HELP)
@_as_json
@of_a_service
def follow(
    job_ids: Sequence[str], output: Path | None, formats: Sequence[str] | None, as_json: bool,
    url: str | None, data_dir: Path | None,
) -> None:  # fmt: skip
    """Wait until jobs are over, and write their results if --output says where."""
    is_done = True
    with (
        clear_errors(),
        ended_by_signals(),
        running(url, data_dir) as client,
        Lines() if as_json else Bars(Console(stderr=True)) as show,
    ):
        for job_id in job_ids:
            target = output and (output if len(job_ids) == 1 else output / job_id)
            outcome = follow_job(client, job_id, target, show, formats or ())
            is_done &= outcome.reason is None
    sys.exit(DONE if is_done else NOT_DONE)


@jobs.command()
@_ids
@of_a_service
def cancel(job_ids: Sequence[str], url: str | None, data_dir: Path | None) -> None:
    """End jobs. What is stored of them stays for a retry, until its time is over."""
    _each(job_ids, url, data_dir, lambda client, job_id: _say(job_id, client.cancel(job_id)))


@jobs.command()
@_ids
@click.option("--stage", type=click.Choice(STAGES), help="Do this again, and all after it.")
@of_a_service
def retry(
    job_ids: Sequence[str], stage: str | None, url: str | None, data_dir: Path | None
) -> None:
    """Have jobs that are over done again, as far as they are not done."""
    _each(job_ids, url, data_dir, lambda client, job_id: _say(job_id, client.retry(job_id, stage)))


@jobs.command()
@_ids
@of_a_service
def delete(job_ids: Sequence[str], url: str | None, data_dir: Path | None) -> None:
    """Remove jobs with everything of them, be they running or over."""

    def one(client: Client, job_id: str) -> None:
        client.delete(job_id)
        click.echo(f"{job_id}: deleted")

    _each(job_ids, url, data_dir, one)


@jobs.command(short_help="What `transcribe up` has logged of a job.")
@click.argument("job_id")
@of_a_service
def logs(job_id: str, url: str | None, data_dir: Path | None) -> None:
    """What the processes of `transcribe up` have logged of a job, in order, as JSON.

    Services elsewhere keep their logs where their operator has them.
    """
    use_data_dir(data_dir)
    with clear_errors():
        if url or (data_dir is None and settings().transcribe_url):
            click.echo(
                "transcribe: logs of another service cannot be read from here; those of "
                "`transcribe up` on this machine can, with --data-dir",
                err=True,
            )
            sys.exit(NOT_DONE)
        found = sorted(_lines(settings().transcribe_data_dir / "logs", job_id), key=_moment)
    for line in found:
        told(line)
    sys.exit(DONE if found else NOT_DONE)


def _each(
    job_ids: Sequence[str],
    url: str | None,
    data_dir: Path | None,
    act: Callable[[Client, str], None],
) -> None:
    """Do something with each job; what is refused of one does not keep the others from it."""
    code = DONE
    with clear_errors(), running(url, data_dir) as client:
        for job_id in job_ids:
            try:
                act(client, job_id)
            except ServiceError as error:
                click.echo(f"{job_id}: {error}", err=True)
                code = NOT_DONE
    sys.exit(code)


def _all(client: Client, **filters: str | None) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = client.jobs(limit=PAGE, cursor=cursor, **filters)
        yield from page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _lines(folder: Path, job_id: str) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.log")):
        with file.open(errors="replace") as lines:
            # Most lines are of other jobs: to look is cheaper than to parse.
            for line in (line for line in lines if job_id in line):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict) and entry.get("job_id") == job_id:
                    yield {"process": file.stem, **entry}


def _moment(entry: dict[str, Any]) -> str:
    return str(entry.get("timestamp", ""))


def _say(job_id: str, job: dict[str, Any]) -> None:
    click.echo(f"{job_id}: {job['status']}")


def _print_table(found: Sequence[dict[str, Any]]) -> None:
    for job in found:
        cells = (job["job_id"], f"{job['status']:<10}", f"{job['engine']:<8}")
        click.echo("  ".join((*cells, f"{job['created_at']:.19}Z", job["filename"])))


def _print_lines(job: dict[str, Any]) -> None:
    for name, value in job.items():
        if value not in (None, [], {}):
            shown = json.dumps(value) if isinstance(value, dict | list) else value
            click.echo(f"{name:<20} {shown}")
