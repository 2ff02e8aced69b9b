"""Puts the content of an archive into an empty data directory: all of it, or nothing."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core import data_dir_lock, free_space, private_files, records, versions
from core.backups import manifest as manifests
from core.backups import names
from core.backups.archive import Archive, open_archive
from core.backups.errors import BackupError
from core.backups.manifest import Manifest
from core.settings import settings

#: Where files lie until all of them have been found to be right.
_CORNER = ".restoring"


def restore(file: Path) -> Manifest:
    """Fill the data directory of the settings from an archive, and bring the records up to date.

    Raises `BackupError` when the archive is damaged, strange or newer than this version, or when
    the directory is not empty; `StorageFull` when it has no room.
    """
    folder = settings().transcribe_data_dir
    _refuse_running_service(folder)
    _refuse_content(folder)
    with open_archive(file) as archive:
        _refuse_newer(archive.manifest)
        free_space.require(archive.size)
        with _fill_or_leave_empty(folder):
            _fill(folder, archive)
            records.upgrade()
        return archive.manifest


def _refuse_running_service(folder: Path) -> None:
    if data_dir_lock.is_locked(folder):
        raise BackupError(
            f"a service runs in {folder}, and a backup is restored into an empty directory; "
            "name another one with --data-dir"
        )


def _refuse_content(folder: Path) -> None:
    if folder.exists() and any(path.name != data_dir_lock.NAME for path in folder.iterdir()):
        raise BackupError(
            f"{folder} is not empty, and a restore replaces nothing; "
            "name another directory with --data-dir, or move away what lies there"
        )


def _refuse_newer(manifest: Manifest) -> None:
    is_known = manifest.revision in records.known_revisions()
    if manifest.format > manifests.FORMAT or not is_known:
        raise BackupError(
            f"the backup was made by Chordscribe {manifest.version} and its records (revision "
            f"{manifest.revision}) are newer than this version, {versions.ours()}, knows; "
            "install that version or a later one"
        )


@contextmanager
def _fill_or_leave_empty(folder: Path) -> Iterator[None]:
    """Keep services out of the directory for the block, and empty it again if the block raises."""
    was_there = folder.exists()
    private_files.make_data_dir(folder)
    with data_dir_lock.lock(folder):
        _refuse_content(folder)  # a service may have come and gone until now
        try:
            yield
        except BaseException:
            _clear(folder)
            if not was_there:
                folder.rmdir()
            raise


def _clear(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _fill(folder: Path, archive: Archive) -> None:
    corner = folder / _CORNER
    private_files.make_folder(corner / names.OBJECTS)
    archive.extract(corner)
    _refuse_other_records(corner / names.RECORDS, archive.manifest)
    # The records last: without them nothing names the objects.
    for name in (names.OBJECTS, names.RECORDS):
        (corner / name).replace(folder / name)
    shutil.rmtree(corner)


def _refuse_other_records(database: Path, manifest: Manifest) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            found = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error as error:
        raise BackupError(
            f"the archive is damaged: its records cannot be read ({error}); take another backup"
        ) from error
    if found != [(manifest.revision,)]:
        raise BackupError(
            "the archive is damaged: its records are not those of its manifest; take another backup"
        )
