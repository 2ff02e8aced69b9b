"""PostgreSQL, Redis and S3 as they are in production, each started for these tests alone.

``TEST_DATABASE_URL``, ``TEST_REDIS_URL`` and ``TEST_S3_ENDPOINT`` (with ``TEST_S3_ACCESS_KEY`` and
``TEST_S3_SECRET_KEY``) name other ones, which are used and not killed.
"""

from __future__ import annotations

import os
import shutil
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from core.settings import settings
from tests.services.processes import Missing
from tests.services.radosgw import RadosGateway
from tests.services.servers import Given, Postgres, Redis, Server


@contextmanager
def running(make: Callable[[Path], Server]) -> Iterator[Server]:
    """A server with a directory of its own, which other users may enter."""
    folder = Path(tempfile.mkdtemp(prefix="transcribe-server-"))
    folder.chmod(0o755)
    server = None
    try:
        server = make(folder)
        server.start()
        yield server
    except Missing as reason:
        pytest.skip(str(reason))
    finally:
        if server is not None:
            server.end()
        shutil.rmtree(folder, ignore_errors=True)


def given(variable: str, **settings: str) -> Given | None:
    """The server that the environment names."""
    named = os.environ.get(variable)
    return (
        Given(**{name: os.environ.get(value, "") for name, value in settings.items()})
        if named
        else None
    )


@pytest.fixture(scope="session")
def postgres() -> Iterator[Server]:
    named = given("TEST_DATABASE_URL", DATABASE_URL="TEST_DATABASE_URL")
    with running(lambda folder: named or Postgres(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def redis_server() -> Iterator[Server]:
    named = given("TEST_REDIS_URL", REDIS_URL="TEST_REDIS_URL")
    with running(lambda folder: named or Redis(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def s3() -> Iterator[Server]:
    named = given(
        "TEST_S3_ENDPOINT",
        MINIO_ENDPOINT="TEST_S3_ENDPOINT",
        MINIO_ACCESS_KEY="TEST_S3_ACCESS_KEY",
        MINIO_SECRET_KEY="TEST_S3_SECRET_KEY",
    )
    with running(lambda folder: named or RadosGateway(folder)) as server:
        yield server


@pytest.fixture(scope="session")
def new_database(postgres: Server) -> Callable[[], str]:
    """Gives the address of an empty database; of the one that is named, where one is."""
    if isinstance(postgres, Postgres):
        return postgres.new_database
    return lambda: postgres.settings["DATABASE_URL"]


@pytest.fixture(scope="session")
def servers(
    postgres: Server, redis_server: Server, s3: Server, new_database: Callable[[], str]
) -> dict[str, str]:
    """The environment of a service on all three, with a database and a bucket of its own."""
    return {
        **redis_server.settings,
        **s3.settings,
        "DATABASE_URL": new_database(),
        "MINIO_BUCKET_NAME": f"test-{uuid.uuid4().hex[:12]}",
    }


@pytest.fixture
def use(monkeypatch: pytest.MonkeyPatch) -> Iterator[Callable[..., None]]:
    """Gives this process some settings for the length of a test."""

    def now(**values: str) -> None:
        for name, value in values.items():
            monkeypatch.setenv(name, value)
        settings.cache_clear()

    yield now
    settings.cache_clear()
