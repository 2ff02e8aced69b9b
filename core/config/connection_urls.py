"""Addresses of Redis and of the database, in the forms that the libraries need."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path

#: The kernel's limit for the path of a Unix socket is 107 bytes on Linux and 103 on macOS.
MAX_SOCKET_PATH_BYTES = 100

REDIS_SCHEMES = ("redis://", "rediss://", "unix://")
DATABASE_SCHEMES = ("sqlite://", "postgresql://", "postgresql+psycopg2://", "postgres://")


def check_scheme(value: str | None, schemes: tuple[str, ...]) -> str | None:
    """Return the address; raise `ValueError` for another scheme."""
    if value is not None and not value.startswith(schemes):
        raise ValueError("must be a URL that starts with " + ", ".join(schemes))
    return value


def normalize_database_url(value: str | None) -> str | None:
    """Return the address for SQLAlchemy; raise `ValueError` for an unsupported database."""
    check_scheme(value, DATABASE_SCHEMES)
    # SQLAlchemy 2.1 uses psycopg 3 for a bare postgresql://; we ship psycopg2.
    for short in ("postgres://", "postgresql://"):
        if value and value.startswith(short):
            return "postgresql+psycopg2://" + value.removeprefix(short)
    return value


def redis_socket(data_dir: Path) -> Path:
    """Return the socket of the embedded Redis, which every process derives from the directory."""
    socket = data_dir / "redis.sock"
    if len(os.fsencode(socket)) <= MAX_SOCKET_PATH_BYTES:
        return socket
    name = hashlib.sha256(os.fsencode(data_dir)).hexdigest()[:16]
    # Not the system's temporary folder: a worker in another shell may use another one.
    return Path("/tmp") / f"redis-of-{name}" / "redis.sock"  # noqa: S108


def celery_url(redis_url: str, database: int) -> str:
    """Return the address for Celery, with its own form for Unix sockets and a database number."""
    if redis_url.startswith("unix://"):
        path = redis_url.removeprefix("unix://").partition("?")[0]
        return f"redis+socket://{path}?virtual_host={database}"
    return redis_url
