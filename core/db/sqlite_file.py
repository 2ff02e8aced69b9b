"""Check the SQLite file for damage, with a remedy. Nothing is written to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from core.errors import DatabaseDamaged
from core.settings import settings

#: SQLite's codes for a file that is no database, or is corrupt.
_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: Bits of the primary result code; the others have details.
_PRIMARY_CODE_MASK = 0xFF


def find_file() -> Path | None:
    """Return the configured SQLite file; None with another database."""
    url = make_url(settings().database)
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if is_file else None


def require_undamaged() -> None:
    """Raise `DatabaseDamaged` if the settings name a file that is damaged."""
    file = find_file()
    if file is not None and (damage := find_damage(file)):
        raise DatabaseDamaged(damage)


def find_damage(file: Path) -> str | None:
    """Return the damage of the file and a remedy, as a sentence.

    None if it is intact, missing, or cannot be checked. Reads all of it, about a gigabyte in some
    seconds.
    """
    try:
        problem = _check_integrity(file) if file.is_file() else None
    except OSError:  # its users report the problem with the folder
        problem = None
    if not problem:
        return None
    return (
        f"the database {file} is damaged ({problem}). Nothing was changed. Restore a backup with "
        f"`transcribe restore`; or move all of {file}* to another folder and start with an empty "
        f"database (its data can often be saved with `sqlite3 {file.name} .recover`)"
    )


def is_damage(error: BaseException | None) -> bool:
    """Return whether this is SQLite's error for a damaged file."""
    code = getattr(error, "sqlite_errorcode", None)
    return code is not None and code & _PRIMARY_CODE_MASK in _DAMAGE_CODES


def _check_integrity(file: Path) -> str | None:
    if file.stat().st_size == 0:
        return _check_emptied(file)
    try:
        with closing(
            sqlite3.connect(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        ) as connection:
            result = str(connection.execute("PRAGMA quick_check(1)").fetchone()[0])
    except sqlite3.Error as error:
        # If it cannot be opened at all, there is another problem, reported on first use.
        return str(error) if is_damage(error) else None
    return None if result == "ok" else " ".join(result.replace("***", "").split())


def _check_emptied(file: Path) -> str | None:
    """Return the damage of an empty file: it is new, unless there are jobs in storage already."""
    is_ours = file.parent == settings().transcribe_data_dir and not settings().minio_endpoint
    jobs = settings().objects_dir / "jobs"
    if is_ours and jobs.is_dir() and any(jobs.iterdir()):
        return f"it is empty, although {jobs} contains recordings"
    return None
