"""A consistent snapshot of database and objects while the service runs.

An object is written before a row refers to it. So all objects that the rows of a moment refer to
are in storage at that moment, unless their job or audio is just being deleted. SQLite's write lock
defines the moment: while it is held, no row changes, and all objects of the jobs get a second name,
a hard link. Objects are replaced, never modified. So later changes affect neither the linked files
nor the snapshot of the open read transaction, however long copying takes.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import make_url

from core import scratch
from core.backups import member_names
from core.backups.backup_error import BackupError
from core.db import sqlite_file
from core.db.transactions import transaction
from core.filesystem import free_space, private_files
from core.settings import settings
from core.states import Stage
from core.storage import layout


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Files in *folder*, arranged as in a data directory."""

    folder: Path
    #: Migration of the database.
    revision: str
    jobs: int
    unfinished_jobs: int

    def files(self) -> Iterator[tuple[str, Path]]:
        """Yield all files with their names in an archive, the database first."""
        yield member_names.RECORDS, self.folder / member_names.RECORDS
        for parent, _, files in os.walk(self.folder / member_names.OBJECTS):
            for path in (Path(parent, name) for name in sorted(files)):
                name = path.relative_to(self.folder).as_posix()
                if member_names.is_allowed(name):
                    yield name, path


@contextmanager
def take_snapshot() -> Iterator[Snapshot]:
    """Yield a snapshot of the current database and objects, which exists during the block.

    Needs space for a copy of the database, none for the objects. Raises `BackupError`,
    `DatabaseDamaged`, and `Unavailable` if the database is busy for too long or the disk is full.
    """
    database = _find_database()
    # In the storage's folder for unfinished files: hard links cannot cross file systems.
    with scratch.temporary_folder("backup-", settings().objects_dir / ".unfinished") as folder:
        try:
            yield _capture_snapshot(folder, database)
        except sqlite3.Error as error:
            raise BackupError(f"the database {database} cannot be read: {error}") from error


def _find_database() -> Path:
    database = Path(make_url(settings().database).database or "")
    if not database.is_file():
        raise BackupError(
            f"there is nothing to back up: {database} does not exist; "
            "set the directory of the service with --data-dir"
        )
    sqlite_file.require_undamaged()  # a copy of a damaged file is no backup
    return database


def _capture_snapshot(folder: Path, database: Path) -> Snapshot:
    with closing(_open_for_reading(database)) as source:
        with transaction() as session:
            session.connection()  # takes the write lock
            source.execute("BEGIN")
            rows = source.execute("SELECT job_id FROM transcript_jobs").fetchall()
            job_ids = [job_id for (job_id,) in rows]
            _link_objects(job_ids, folder / member_names.OBJECTS)
        # From here on others can write again; this connection still reads the earlier state.
        _copy_records(source, folder / member_names.RECORDS)
        return Snapshot(folder, _read_revision(source), len(job_ids), _count_unfinished(source))


def _open_for_reading(database: Path) -> sqlite3.Connection:
    # Not `mode=ro`: SQLite may have to create its shared-memory file.
    return sqlite3.connect(f"{database.as_uri()}?mode=rw", uri=True, isolation_level=None)


def _read_revision(source: sqlite3.Connection) -> str:
    (revision,) = source.execute("SELECT version_num FROM alembic_version").fetchone()
    return str(revision)


def _count_unfinished(source: sqlite3.Connection) -> int:
    query = "SELECT count(*) FROM job_runs WHERE stage <> ?"
    (count,) = source.execute(query, [Stage.OVER]).fetchone()
    return int(count)


def _copy_records(source: sqlite3.Connection, target: Path) -> None:
    (pages,), (page_bytes,) = (
        source.execute(f"PRAGMA {pragma}").fetchone() for pragma in ("page_count", "page_size")
    )
    free_space.require_space(pages * page_bytes)
    private_files.make_file(target)
    with closing(sqlite3.connect(target)) as copy:
        source.backup(copy)


def _link_objects(job_ids: Sequence[str], target: Path) -> None:
    for job_id in job_ids:
        root = layout.job_prefix(job_id)
        _link_tree(settings().objects_dir / root, target / root)


def _link_tree(source: Path, target: Path) -> None:
    """Hard-link every file of a folder; files that disappear meanwhile are left out."""
    for parent, _, files in os.walk(source, onerror=_raise_unless_gone):
        copy = target / Path(parent).relative_to(source)
        private_files.make_folder(copy)
        for name in files:
            with suppress(FileNotFoundError):
                _link(Path(parent, name), copy / name)


def _raise_unless_gone(error: OSError) -> None:
    if not isinstance(error, FileNotFoundError):
        raise error


def _link(source: Path, target: Path) -> None:
    try:
        os.link(source, target, follow_symlinks=False)
    except FileNotFoundError:
        raise
    except OSError as error:
        raise BackupError(
            f"the file system of {source} does not support hard links ({error.strerror}), which "
            "a backup of a running service needs; stop the service and copy its directory"
        ) from error
