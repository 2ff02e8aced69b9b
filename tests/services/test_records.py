"""Records in PostgreSQL, which locks and types more strictly than SQLite."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests import packages
from tests.conftest import ROOT
from tests.integration.conftest import SAMPLE, clean_environment
from tests.services.servers import Postgres, Server

#: What is told of records in SQLite, and must hold here.
SAME = [
    "tests/unit/test_jobs.py",
    "tests/unit/test_steps.py",
    "tests/unit/test_job_listing.py",
    "tests/unit/test_sessions.py",
    "tests/unit/test_contexts.py",
    "tests/unit/test_speaker_names.py",
    "tests/unit/test_webhooks.py",
    "tests/house/test_house.py::test_models_and_migrations_agree",
    "tests/house/test_house.py::test_migrations_go_down_and_up_again",
]


def run(*command: str, **settings: str) -> str:
    done = subprocess.run(
        [Path(sys.executable).with_name(command[0]), *command[1:]],
        env=clean_environment(**settings), cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-4000:] + done.stderr[-4000:]
    return done.stdout


def test_the_unit_tests_of_the_records_hold(new_database: Callable[[], str]):
    url = new_database()
    told = run("pytest", "-q", "-p", "no:cacheprovider", "--database-url", url, *SAME)
    assert "skipped" not in told


def test_the_migrations_run_by_either_command(postgres: Server, new_database, tmp_path: Path):
    if not isinstance(postgres, Postgres):
        pytest.skip("the database that is named is not empty")
    head = max(path.stem[:4] for path in (ROOT / "migrations/versions").glob("[0-9]*.py"))
    for upgrade in (["alembic", "upgrade", "head"], ["flask", "--app", "wsgi", "db", "upgrade"]):
        here = {"DATABASE_URL": new_database(), "TRANSCRIBE_DATA_DIR": str(tmp_path)}
        run(*upgrade, **here)
        assert run("alembic", "current", **here).startswith(f"{head} (head)")
        run(*upgrade, **here)


_ENGINE = """
from engines.catalog import EngineSpec, Requirement
SPEC = EngineSpec("o'clock", "Theirs", "theirs:Engine", Requirement("json"), memory_mb=1)
"""
_SUBMIT = """
import sys
from transcribe_api.app import create_app
with open(sys.argv[1], "rb") as file:
    form = {"file": (file, "a.flac"), "engine": "o'clock"}
    answer = create_app().test_client().post("/api/transcribe/jobs/transcribe", data=form)
print(answer.status_code, answer.text)
"""


def test_an_engine_of_somebody_elses_is_told_to_the_database(
    redis_server: Server, postgres: Server, new_database: Callable[[], str], tmp_path: Path
):
    if not isinstance(postgres, Postgres):
        pytest.skip("the database that is named may know it already")
    there = {
        **redis_server.settings,
        "DATABASE_URL": new_database(),
        "TRANSCRIBE_DATA_DIR": str(tmp_path / "data"),
    }
    packages.install(tmp_path, "theirs", _ENGINE, {"theirs": "theirs:SPEC"}, packages.ENGINES)
    here = {**there, "PYTHONPATH": packages.path_with(tmp_path, ROOT)}
    submit = ("python", "-c", _SUBMIT, str(SAMPLE))
    run("alembic", "upgrade", "head", **there)
    refused = run(*submit, **here)
    assert refused.startswith("503 ")
    assert "`alembic upgrade head`" in refused
    for _ in range(2):
        run("alembic", "upgrade", "head", **here)
    assert run(*submit, **here).startswith("202 ")
