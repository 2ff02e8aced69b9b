"""Restore an archive into an empty data directory, completely or not at all."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

from core import versions
from core.backups import archive_manifest as manifests
from core.backups import member_names
from core.backups.archive import Archive, open_archive
from core.backups.archive_manifest import Manifest
from core.backups.backup_error import BackupError
from core.db import migrate
from core.filesystem import data_directory_lock, free_space, private_files
from core.settings import settings

#: Folder of the files until all of them are verified.
_STAGING_FOLDER = ".restoring"


def restore_backup(file: Path) -> Manifest:
    """Fill the data directory of the settings from an archive, and migrate the database.

    Raises `BackupError` if the archive is damaged, of unknown form or newer than this version, or
    if the directory is not empty; `StorageFull` if there is no space.
    """
    folder = settings().transcribe_data_dir
    _refuse_running_service(folder)
    _refuse_nonempty(folder)
    with open_archive(file) as archive:
        _refuse_newer(archive.manifest)
        free_space.require_space(archive.size)
        with _fill_or_leave_empty(folder):
            _fill_folder(folder, archive)
            migrate.upgrade_database()
        return archive.manifest


def _refuse_running_service(folder: Path) -> None:
    if data_directory_lock.is_locked(folder):
        raise BackupError(
            f"a service runs in {folder}, but a restore needs an empty directory; "
            "choose one with --data-dir"
        )


def _refuse_nonempty(folder: Path) -> None:
    if folder.exists() and any(
        entry.name != data_directory_lock.NAME for entry in folder.iterdir()
    ):
        raise BackupError(
            f"{folder} is not empty, and a restore never replaces files; "
            "choose another directory with --data-dir, or move its content"
        )


def _refuse_newer(manifest: Manifest) -> None:
    is_known = manifest.revision in migrate.list_revisions()
    if manifest.format > manifests.FORMAT or not is_known:
        raise BackupError(
            f"the backup was made by Chordscribe {manifest.version}; its database (revision "
            f"{manifest.revision}) is too new for this version, {versions.service_version()}: "
            "install that version or a later one"
        )


@contextmanager
def _fill_or_leave_empty(folder: Path) -> Iterator[None]:
    """Lock the directory against services for the block; empty it if the block raises."""
    existed = folder.exists()
    private_files.make_data_dir(folder)
    with data_directory_lock.acquire_lock(folder):
        _refuse_nonempty(folder)  # a service may have run meanwhile
        try:
            yield
        except BaseException:
            _empty_folder(folder)
            if not existed:
                folder.rmdir()
            raise


def _empty_folder(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir():
            shutil.rmtree(path)
        else:
            path.unlink()


def _fill_folder(folder: Path, archive: Archive) -> None:
    staging = folder / _STAGING_FOLDER
    private_files.make_folder(staging / member_names.OBJECTS)
    archive.extract(staging)
    _refuse_other_records(staging / member_names.RECORDS, archive.manifest)
    # The database last: without it nothing refers to the objects.
    for name in (member_names.OBJECTS, member_names.RECORDS):
        (staging / name).replace(folder / name)
    shutil.rmtree(staging)


def _refuse_other_records(database: Path, manifest: Manifest) -> None:
    try:
        with closing(sqlite3.connect(database)) as connection:
            revisions = connection.execute("SELECT version_num FROM alembic_version").fetchall()
    except sqlite3.Error as error:
        raise BackupError(
            f"the archive is damaged: its database cannot be read ({error}); use another backup"
        ) from error
    if revisions != [(manifest.revision,)]:
        raise BackupError(
            "the archive is damaged: its database does not match its manifest; use another backup"
        )
