"""``transcribe backup`` and ``transcribe restore``: all data of the embedded stack in one file."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import click

from core.errors import TranscribeError
from core.settings import settings
from transcribe_api.cli.service import (
    NOT_DONE,
    data_dir_option,
    exit_on_signals,
    tell_operator,
    use_data_dir,
)

MB = 1e6


@click.command(short_help="Copy all data of the service into one file, while it runs.")
@click.argument("target", metavar="TO", type=click.Path(path_type=Path))
@data_dir_option
def backup(target: Path, data_dir: Path | None) -> None:
    """Copy all data of the service of `transcribe up` into one new file, a .tar.

    TO is the file, or a folder in which the file gets a name. The service may be running or not.
    The file contains recordings, transcripts and secrets; only this account can read it.
    """
    use_data_dir(data_dir)
    from core.backups.archive import write_archive  # after the settings are known
    from core.backups.snapshot import take_snapshot

    with _exit_on_errors(), exit_on_signals():
        _refuse_unless_embedded()
        file = target / _build_filename() if target.is_dir() else target
        with take_snapshot() as snapshot:
            manifest = write_archive(snapshot, file)
    size = file.stat().st_size / MB
    click.echo(
        f"{manifest.jobs} jobs, {manifest.unfinished_jobs} of them unfinished; {size:.1f} MB. "
        "It contains recordings and secrets: store it where nobody else can read it.",
        err=True,
    )
    click.echo(file)


@click.command(short_help="Fill an empty data directory from a backup.")
@click.argument(
    "file", metavar="FROM", type=click.Path(exists=True, dir_okay=False, path_type=Path)
)
@data_dir_option
def restore(file: Path, data_dir: Path | None) -> None:
    """Fill an empty data directory from a file that `transcribe backup` made.

    Every byte is compared with the backup; if one differs, nothing is restored. Records of an older
    version are migrated. `transcribe up` then continues unfinished jobs.
    """
    use_data_dir(data_dir)
    from core.backups.restore import restore_backup  # after the settings are known

    with _exit_on_errors(), exit_on_signals():
        _refuse_unless_embedded()
        manifest = restore_backup(file)
    folder = settings().transcribe_data_dir
    click.echo(
        f"{manifest.jobs} jobs of {manifest.created_at:%Y-%m-%d %H:%M} UTC are in {folder}; "
        f"`transcribe up --data-dir {folder}` continues {manifest.unfinished_jobs} of them."
    )


def _build_filename() -> str:
    from core import clock

    return f"chordscribe-{clock.utc_now():%Y%m%dT%H%M%SZ}.tar"


def _refuse_unless_embedded() -> None:
    from core.backups.backup_error import BackupError

    servers = {"DATABASE_URL": settings().database_url, "MINIO_ENDPOINT": settings().minio_endpoint}
    if configured := [name for name, value in servers.items() if value]:
        raise BackupError(
            "this command is for a service with all data in its data directory, but "
            f"{' and '.join(configured)} configure servers: use deploy/backup.sh and "
            "deploy/restore.sh, see docs/upgrading.md"
        )


@contextmanager
def _exit_on_errors() -> Iterator[None]:
    """Print errors as one sentence instead of a traceback, and exit."""
    try:
        yield
    except (TranscribeError, OSError) as error:
        tell_operator(str(error))
        sys.exit(NOT_DONE)
