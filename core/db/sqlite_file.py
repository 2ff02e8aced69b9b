"""The file of SQLite: whether it is damaged, and what to do then. Nothing is written to it."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

from sqlalchemy.engine import make_url

from core.errors import DatabaseDamaged
from core.settings import settings

#: What SQLite says of a file that is no database of its kind, or that makes no sense.
_DAMAGE_CODES = (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
#: Of its result codes: the rest tells more.
_PRIMARY_CODE_MASK = 0xFF


def find_file() -> Path | None:
    """The file that the settings name; None with another database."""
    url = make_url(settings().database)
    is_file = url.get_backend_name() == "sqlite" and url.database not in (None, "", ":memory:")
    return Path(str(url.database)) if is_file else None


def require_undamaged() -> None:
    """Raise `DatabaseDamaged` if the settings name a file that is damaged."""
    file = find_file()
    if file is not None and (damage := find_damage(file)):
        raise DatabaseDamaged(damage)


def find_damage(file: Path) -> str | None:
    """What is wrong with the file, and what to do, as a sentence; None if it is whole, not there,
    or cannot be looked into. Reads all of it, about a gigabyte in some seconds.
    """
    try:
        problem = _check_integrity(file) if file.is_file() else None
    except OSError:  # whoever uses it is told what is wrong with its folder
        problem = None
    if not problem:
        return None
    return (
        f"the database {file} is damaged ({problem}). Nothing was changed. Bring a backup back "
        "with "
        f"`transcribe restore`; or move {file}* elsewhere, all of them, and start with an empty "
        f"one (what it still holds can often be saved with `sqlite3 {file.name} .recover`)"
    )


def is_damage(error: BaseException | None) -> bool:
    """Whether this is how SQLite says that its file is damaged."""
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
        # Whoever cannot open it at all has another trouble, and is told so when it is used.
        return str(error) if is_damage(error) else None
    return None if result == "ok" else " ".join(result.replace("***", "").split())


def _check_emptied(file: Path) -> str | None:
    """An empty file is a new database, unless jobs were kept beside it already."""
    is_ours = file.parent == settings().transcribe_data_dir and not settings().minio_endpoint
    jobs = settings().objects_dir / "jobs"
    if is_ours and jobs.is_dir() and any(jobs.iterdir()):
        return f"it has no byte, although {jobs} holds recordings"
    return None
