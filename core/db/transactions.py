"""The database of this process: one engine, short transactions."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import lru_cache
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout
from sqlalchemy.orm import Session

from core.db import sqlite_file
from core.errors import StorageFull, Unavailable
from core.filesystem import free_space, private_files
from core.settings import settings

#: Seconds that a SQLite writer waits for another one.
SQLITE_BUSY_SECONDS = 30
#: How soon an unreachable PostgreSQL counts as down: seconds to connect; seconds of silence before
#: it is probed; milliseconds for which sent data may be unacknowledged.
_POSTGRES_TIMEOUTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}

_DAMAGED_MESSAGE = (
    "the database is damaged: run `transcribe doctor` on its machine to see the file and the remedy"
)
_SILENT_MESSAGE = "the database does not answer"
_OUTDATED_MESSAGE = (
    "the database does not have this engine yet: run `alembic upgrade head` on a machine where it "
    "is installed"
)


@contextmanager
def transaction() -> Iterator[Session]:
    """Yield a transaction that commits at the end of the block, or rolls back if it raises.

    Raises `Unavailable` if the database cannot be reached.
    """
    with _session("BEGIN IMMEDIATE") as session, session.begin():
        yield session


@contextmanager
def read_session() -> Iterator[Session]:
    """Yield a read-only session, which waits for no writer."""
    with _session("BEGIN") as session:
        yield session


@contextmanager
def _session(begin: str) -> Iterator[Session]:
    # Only SQLite uses `begin`: a transaction that first reads and then writes must take the write
    # lock at once, or two of them block each other.
    try:
        with Session(_with_begin(engine(), begin), expire_on_commit=False) as session:
            yield session
    except SQLAlchemyError as error:
        reason = explain_outage(error)
        if reason is None:
            raise
        raise reason from error


def engine() -> Engine:
    """Return the engine of this process, created on demand: connections do not survive a fork."""
    return _engine(settings().database, os.getpid())


@lru_cache(maxsize=8)
def _with_begin(sql_engine: Engine, begin: str) -> Engine:
    return sql_engine.execution_options(begin=begin)


@lru_cache(maxsize=4)
def _engine(url: str, _pid: int) -> Engine:
    return build_engine(url)


def build_engine(url: str, **options: Any) -> Engine:
    """Create an engine; SQLite gets the configuration to be shared by processes."""
    sql_engine = create_engine(url, **engine_options(url), **options)
    if sql_engine.dialect.name == "sqlite" and sql_engine.url.database:
        _make_private(Path(sql_engine.url.database))
    if url.startswith("sqlite"):
        configure_sqlite(sql_engine)
    return sql_engine


def _make_private(file: Path) -> None:
    """Create a private file; SQLite's default is readable by all. Its other files follow it."""
    with suppress(OSError):  # opening it will fail, too, and report the error
        private_files.make_file(file)


def engine_options(url: str) -> dict[str, Any]:
    """Return options with which an engine tolerates a restarting or busy server."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": SQLITE_BUSY_SECONDS}}
    return {"pool_pre_ping": True, "connect_args": _POSTGRES_TIMEOUTS}


def explain_outage(error: SQLAlchemyError) -> Unavailable | None:
    """Convert errors that are not the query's fault; None for others.

    They mean: the database is down, busy, outdated, damaged or out of space.
    """
    cause = error.orig if isinstance(error, DBAPIError) else None
    if sqlite_file.is_damage(cause):
        return Unavailable(_DAMAGED_MESSAGE)
    if isinstance(cause, sqlite3.OperationalError) and (
        shortage := free_space.find_minimum_shortage()
    ):
        return StorageFull(free_space.hide_folder(shortage))
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Unavailable(_SILENT_MESSAGE)  # a stopping server causes any error
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return Unavailable(_SILENT_MESSAGE)
    return Unavailable(_OUTDATED_MESSAGE) if _is_engine_missing(error) else None


def _is_engine_missing(error: SQLAlchemyError) -> bool:
    """Return whether an engine was installed after the last migration."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    is_unknown_value = getattr(cause, "pgcode", None) == "22P02"
    return is_unknown_value and "transcription_engine" in str(cause)


def configure_sqlite(sql_engine: Engine) -> None:
    """Prepare a SQLite engine for several processes: write-ahead log and explicit BEGIN."""
    event.listen(sql_engine, "connect", _prepare_sqlite)
    event.listen(sql_engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # BEGIN is sent explicitly
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
