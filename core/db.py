"""The database of this process: one engine, short transactions."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache
from typing import Any

from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import Connection
from sqlalchemy.exc import InterfaceError, OperationalError
from sqlalchemy.orm import Session

from core.errors import Unavailable
from core.settings import settings

#: Seconds that a SQLite writer waits for another one.
SQLITE_BUSY_SECONDS = 30


@contextmanager
def transaction() -> Iterator[Session]:
    """A transaction that commits at the end of the block, or leaves no trace if the block raises.

    Raises `Unavailable` when the database cannot be reached.
    """
    with _session("BEGIN IMMEDIATE") as session, session.begin():
        yield session


@contextmanager
def reading() -> Iterator[Session]:
    """A session that only reads, so it waits for no writer."""
    with _session("BEGIN") as session:
        yield session


@contextmanager
def _session(begin: str) -> Iterator[Session]:
    # Only SQLite looks at `begin`: a transaction that first reads and then writes must take the
    # write lock at once, or two of them refuse each other.
    bind = engine().execution_options(begin=begin)
    try:
        with Session(bind, expire_on_commit=False) as session:
            yield session
    except (OperationalError, InterfaceError) as error:
        raise Unavailable("the database does not answer") from error


def engine() -> Engine:
    """The engine of this process, made when first needed: connections do not survive a fork."""
    return _engine(settings().database, os.getpid())


@lru_cache(maxsize=4)
def _engine(url: str, _pid: int) -> Engine:
    return build_engine(url)


def build_engine(url: str, **options: Any) -> Engine:
    """An engine with what SQLite needs to be shared by processes. Other databases need nothing."""
    if not url.startswith("sqlite"):
        return create_engine(url, pool_pre_ping=True, **options)
    made = create_engine(url, connect_args={"timeout": SQLITE_BUSY_SECONDS}, **options)
    share_sqlite(made)
    return made


def share_sqlite(made: Engine) -> None:
    """Make a SQLite engine fit for several processes: write-ahead log and explicit BEGIN."""
    event.listen(made, "connect", _prepare_sqlite)
    event.listen(made, "begin", _begin_sqlite)


def _prepare_sqlite(connection: Any, _record: Any) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    connection.exec_driver_sql(connection.get_execution_options().get("begin", "BEGIN"))
