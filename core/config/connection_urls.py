"""Addresses of Redis and of the database, in the forms that the libraries want."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

#: The kernel's limit for the path of a Unix socket is 107 bytes on Linux and 103 on macOS.
MAX_SOCKET_PATH_BYTES = 100

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
DATABASE_SCHEMES = ("sqlite://", "postgresql://", "postgresql+psycopg2://", "postgres://")


def check_scheme(value: str | None, schemes: tuple[str, ...]) -> str | None:
    """The same address. Raises `ValueError` for one of another kind."""
    if value is not None and not value.startswith(schemes):
        raise ValueError("allowed are URLs that start with " + ", ".join(schemes))
    return value


def normalize_database_url(value: str | None) -> str | None:
    """The address for SQLAlchemy. Raises `ValueError` for a database that we do not know."""
    check_scheme(value, DATABASE_SCHEMES)
    # SQLAlchemy 2.1 takes a bare postgresql:// for psycopg 3; we ship psycopg2.
    for short in ("postgres://", "postgresql://"):
        if value and value.startswith(short):
            return "postgresql+psycopg2://" + value.removeprefix(short)
    return value


def redis_socket(data_dir: Path) -> Path:
    """Where the embedded stack's Redis listens: every process finds it by the directory."""
    socket = data_dir / "redis.sock"
    if len(os.fsencode(socket)) <= MAX_SOCKET_PATH_BYTES:
        return socket
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    # Not the system's own choice of a folder: a worker in another shell may have another one.
    return Path("/tmp") / f"redis-of-{name}" / "redis.sock"  # noqa: S108


def celery_url(redis_url: str, database: int) -> str:
    """Celery names Unix sockets in its own way, and counts chords in a database of their own."""
    if redis_url.startswith("unix://"):
        path = redis_url.removeprefix("unix://").partition("?")[0]
        return f"redis+socket://{path}?virtual_host={database}"
    return redis_url
