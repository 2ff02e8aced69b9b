"""``transcribe jobs …``: list and manage the jobs of a running service."""

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
from transcribe_api.cli.formats import FORMATS_HELP, Formats
from transcribe_api.cli.jsonl_output import JsonlOutput
from transcribe_api.cli.progress_bars import ProgressBars
from transcribe_api.cli.service import (
    DONE,
    NOT_DONE,
    exit_on_errors,
    exit_on_signals,
    open_client,
    print_json,
    service_options,
    use_data_dir,
)
from transcribe_api.client import Client, ServiceError
from transcribe_api.python.batch_client import follow_job

_json_option = click.option("--json", "as_json", is_flag=True, help="Print JSON.")
_job_ids_argument = click.argument("job_ids", nargs=-1, required=True, metavar="JOB_ID...")

#: Jobs per request.
PAGE_SIZE = 100
STATUSES = ("queued", "processing", "completed", "failed", "cancelled")
STAGES = ("transcribe", "diarize", "merge")


@click.group(short_help="List and manage the jobs of a running service.")
def jobs() -> None:
    """Jobs of a running service: at --url or TRANSCRIBE_URL, or of `transcribe up`."""


@jobs.command("list")
@click.option("--status", type=click.Choice(STATUSES), help="Only jobs with this status.")
@click.option("--engine", help="Only jobs of this engine.")
@click.option("--limit", type=click.IntRange(min=1), default=20, show_default=True)
@_json_option
@service_options
def show_all(
    status: str | None, engine: str | None, limit: int, as_json: bool,
    url: str | None, data_dir: Path | None,
) -> None:  # fmt: skip
    """List the jobs, newest first; with --json, one per line."""
    with exit_on_errors(), open_client(url, data_dir) as client:
        listed_jobs = list(
            itertools.islice(_iterate_jobs(client, status=status, engine=engine), limit)
        )
    if as_json:
        for job in listed_jobs:
            print_json(job)
    else:
        _print_table(listed_jobs)


@jobs.command()
@_job_ids_argument
@_json_option
@service_options
def show(job_ids: Sequence[str], as_json: bool, url: str | None, data_dir: Path | None) -> None:
    """Show the state of jobs."""

    def show_job(client: Client, job_id: str) -> None:
        job = client.status(job_id)
        if as_json:
            print_json(job)
        else:
            _print_fields(job)

    _for_each_job(job_ids, url, data_dir, show_job)


@jobs.command()
@_job_ids_argument
@click.option("-o", "--output", type=click.Path(file_okay=False, path_type=Path),
              help="Directory for the results; several jobs get a subdirectory each.")  # fmt: skip
@click.option("--format", "formats", type=Formats(), metavar="NAMES", help=FORMATS_HELP)
@_json_option
@service_options
def follow(
    job_ids: Sequence[str], output: Path | None, formats: Sequence[str] | None, as_json: bool,
    url: str | None, data_dir: Path | None,
) -> None:  # fmt: skip
    """Wait for jobs to end, and write their results if --output is given."""
    is_done = True
    with (
        exit_on_errors(),
        exit_on_signals(),
        open_client(url, data_dir) as client,
        JsonlOutput() if as_json else ProgressBars(Console(stderr=True)) as display,
    ):
        for job_id in job_ids:
            target = output and (output if len(job_ids) == 1 else output / job_id)
            outcome = follow_job(client, job_id, target, display, formats or ())
            is_done &= outcome.reason is None
    sys.exit(DONE if is_done else NOT_DONE)


@jobs.command()
@_job_ids_argument
@service_options
def cancel(job_ids: Sequence[str], url: str | None, data_dir: Path | None) -> None:
    """Cancel jobs. Stored parts remain for a retry, until they expire."""
    _for_each_job(
        job_ids, url, data_dir, lambda client, job_id: _print_status(job_id, client.cancel(job_id))
    )


@jobs.command()
@_job_ids_argument
@click.option("--stage", type=click.Choice(STAGES), help="Repeat this stage and all later ones.")
@service_options
def retry(
    job_ids: Sequence[str], stage: str | None, url: str | None, data_dir: Path | None
) -> None:
    """Retry jobs that have ended: repeat what failed, or all of --stage and later stages."""
    _for_each_job(
        job_ids,
        url,
        data_dir,
        lambda client, job_id: _print_status(job_id, client.retry(job_id, stage)),
    )


@jobs.command()
@_job_ids_argument
@service_options
def delete(job_ids: Sequence[str], url: str | None, data_dir: Path | None) -> None:
    """Delete jobs and all of their data, running or finished."""

    def delete_job(client: Client, job_id: str) -> None:
        client.delete(job_id)
        click.echo(f"{job_id}: deleted")

    _for_each_job(job_ids, url, data_dir, delete_job)


@jobs.command(short_help="Show what `transcribe up` logged about a job.")
@click.argument("job_id")
@service_options
def logs(job_id: str, url: str | None, data_dir: Path | None) -> None:
    """Show what the processes of `transcribe up` logged about a job, in order, as JSON.

    For a service on another machine, ask its operator for the logs.
    """
    use_data_dir(data_dir)
    with exit_on_errors():
        if url or (data_dir is None and settings().transcribe_url):
            click.echo(
                "transcribe: logs of another service cannot be read from here; for "
                "`transcribe up` on this machine, use --data-dir",
                err=True,
            )
            sys.exit(NOT_DONE)
        entries = sorted(
            _read_log_entries(settings().transcribe_data_dir / "logs", job_id), key=_get_timestamp
        )
    for entry in entries:
        print_json(entry)
    sys.exit(DONE if entries else NOT_DONE)


def _for_each_job(
    job_ids: Sequence[str],
    url: str | None,
    data_dir: Path | None,
    action: Callable[[Client, str], None],
) -> None:
    """Apply *action* to each job; an error of one job does not stop the others."""
    code = DONE
    with exit_on_errors(), open_client(url, data_dir) as client:
        for job_id in job_ids:
            try:
                action(client, job_id)
            except ServiceError as error:
                click.echo(f"{job_id}: {error}", err=True)
                code = NOT_DONE
    sys.exit(code)


def _iterate_jobs(client: Client, **filters: str | None) -> Iterator[dict[str, Any]]:
    cursor = None
    while True:
        page = client.jobs(limit=PAGE_SIZE, cursor=cursor, **filters)
        yield from page["jobs"]
        cursor = page["next_cursor"]
        if cursor is None:
            return


def _read_log_entries(folder: Path, job_id: str) -> Iterator[dict[str, Any]]:
    for file in sorted(folder.glob("*.log")):
        with file.open(errors="replace") as lines:
            # Most lines are of other jobs: a search is cheaper than parsing.
            for line in (line for line in lines if job_id in line):
                try:
                    entry = json.loads(line)
                except ValueError:
                    continue
                if isinstance(entry, dict) and entry.get("job_id") == job_id:
                    yield {"process": file.stem, **entry}


def _get_timestamp(entry: dict[str, Any]) -> str:
    return str(entry.get("timestamp", ""))


def _print_status(job_id: str, job: dict[str, Any]) -> None:
    click.echo(f"{job_id}: {job['status']}")


def _print_table(listed_jobs: Sequence[dict[str, Any]]) -> None:
    for job in listed_jobs:
        cells = (job["job_id"], f"{job['status']:<10}", f"{job['engine']:<8}")
        click.echo("  ".join((*cells, f"{job['created_at']:.19}Z", job["filename"])))


def _print_fields(job: dict[str, Any]) -> None:
    for name, value in job.items():
        if value not in (None, [], {}):
            text = json.dumps(value) if isinstance(value, dict | list) else value
            click.echo(f"{name:<20} {text}")
