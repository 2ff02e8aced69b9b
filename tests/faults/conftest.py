"""The field for all seeds, what an undisturbed run comes to, and the ledger."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT
from tests.faults.driver import Baseline, undisturbed_run
from tests.faults.field import Field, prepared
from tests.faults.ledger import Ledger
from tests.faults.stops import Courses
from tests.services.conftest import postgres, redis_server, s3  # noqa: F401
from tests.services.servers import Postgres, Redis, Server

OUT = ROOT / "out" / "faults"


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "seed" in metafunc.fixturenames:
        named = os.environ.get("SEED") or f"1-{os.environ.get('SEEDS', '25')}"
        first, _, last = named.partition("-")
        metafunc.parametrize("seed", range(int(first), int(last or first) + 1))


@pytest.fixture(scope="session")
def field(postgres: Server, redis_server: Server, s3: Server) -> Iterator[Field]:  # noqa: F811
    if not isinstance(postgres, Postgres) or not isinstance(redis_server, Redis):
        pytest.skip("servers that are somebody else's are not killed")
    folder = Path(tempfile.mkdtemp(prefix="transcribe-faults-"))
    try:
        with prepared(folder, postgres, redis_server, s3.settings) as made:
            yield made
    finally:
        _keep_logs(folder / "logs")
        shutil.rmtree(folder, ignore_errors=True)


def _keep_logs(folder: Path) -> None:
    """For whoever looks into a failure."""
    shutil.rmtree(OUT / "logs", ignore_errors=True)
    if folder.is_dir():
        shutil.copytree(folder, OUT / "logs")


@pytest.fixture(scope="session")
def baseline(field: Field) -> Baseline:
    return undisturbed_run(field)


@pytest.fixture(scope="session")
def entries() -> Ledger:
    return Ledger(OUT)


@pytest.fixture(scope="session")
def courses() -> Courses:
    return Courses(OUT)
