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
#: How soon a PostgreSQL counts as gone that cannot be reached at all: seconds to connect; seconds
#: of silence after which it is probed; milliseconds that what was sent may go unanswered.
_POSTGRES_TIMEOUTS = {
    "connect_timeout": 5,
    "keepalives_idle": 10,
    "keepalives_interval": 5,
    "keepalives_count": 4,
    "tcp_user_timeout": 30_000,
}

_DAMAGED_MESSAGE = (
    "the database is damaged: on its machine, `transcribe doctor` names the file and what to do"
)
_SILENT_MESSAGE = "the database does not answer"
_OUTDATED_MESSAGE = (
    "the database does not know this engine yet: run `alembic upgrade head` where it is installed"
)


@contextmanager
def transaction() -> Iterator[Session]:
    """A transaction that commits at the end of the block, or leaves no trace if the block raises.

    Raises `Unavailable` when the database cannot be reached.
    """
    with _session("BEGIN IMMEDIATE") as session, session.begin():
        yield session


@contextmanager
def read_session() -> Iterator[Session]:
    """A session that only reads, so it waits for no writer."""
    with _session("BEGIN") as session:
        yield session


@contextmanager
def _session(begin: str) -> Iterator[Session]:
    # Only SQLite looks at `begin`: a transaction that first reads and then writes must take the
    # write lock at once, or two of them refuse each other.
    try:
        with Session(_with_begin(engine(), begin), expire_on_commit=False) as session:
            yield session
    except SQLAlchemyError as error:
        reason = explain_outage(error)
        if reason is None:
            raise
        raise reason from error


def engine() -> Engine:
    """The engine of this process, made when first needed: connections do not survive a fork."""
    return _engine(settings().database, os.getpid())


@lru_cache(maxsize=8)
def _with_begin(sql_engine: Engine, begin: str) -> Engine:
    return sql_engine.execution_options(begin=begin)


@lru_cache(maxsize=4)
def _engine(url: str, _pid: int) -> Engine:
    return build_engine(url)


def build_engine(url: str, **options: Any) -> Engine:
    """An engine with what SQLite needs to be shared by processes. Other databases need nothing."""
    sql_engine = create_engine(url, **engine_options(url), **options)
    if sql_engine.dialect.name == "sqlite" and sql_engine.url.database:
        _make_private(Path(sql_engine.url.database))
    if url.startswith("sqlite"):
        configure_sqlite(sql_engine)
    return sql_engine


def _make_private(file: Path) -> None:
    """SQLite would let everybody read a file that it makes; those beside it are as the file is."""
    with suppress(OSError):  # it cannot be opened either, and that is said when it is tried
        private_files.make_file(file)


def engine_options(url: str) -> dict[str, Any]:
    """With which an engine bears that its server restarts, or is busy."""
    if url.startswith("sqlite"):
        return {"connect_args": {"timeout": SQLITE_BUSY_SECONDS}}
    return {"pool_pre_ping": True, "connect_args": _POSTGRES_TIMEOUTS}


def explain_outage(error: SQLAlchemyError) -> Unavailable | None:
    """What is the matter when it is no fault of the query: the database is down, busy, behind,
    damaged or without room; None: it is the query.
    """
    cause = error.orig if isinstance(error, DBAPIError) else None
    if sqlite_file.is_damage(cause):
        return Unavailable(_DAMAGED_MESSAGE)
    if isinstance(cause, sqlite3.OperationalError) and (
        shortage := free_space.find_minimum_shortage()
    ):
        return StorageFull(free_space.hide_folder(shortage))
    if isinstance(error, DBAPIError) and error.connection_invalidated:
        return Unavailable(_SILENT_MESSAGE)  # one that ends amid an answer may be any kind of error
    if isinstance(error, OperationalError | InterfaceError | PoolTimeout):
        return Unavailable(_SILENT_MESSAGE)
    return Unavailable(_OUTDATED_MESSAGE) if _is_engine_missing(error) else None


def _is_engine_missing(error: SQLAlchemyError) -> bool:
    """Whether an engine was installed after the database was last brought up to date."""
    cause = error.orig if isinstance(error, DBAPIError) else None
    is_unknown_value = getattr(cause, "pgcode", None) == "22P02"
    return is_unknown_value and "transcription_engine" in str(cause)


def configure_sqlite(sql_engine: Engine) -> None:
    """Make a SQLite engine fit for several processes: write-ahead log and explicit BEGIN."""
    event.listen(sql_engine, "connect", _prepare_sqlite)
    event.listen(sql_engine, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
