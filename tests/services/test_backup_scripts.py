"""deploy/backup.sh and deploy/restore.sh: real servers, and each tool that is on this machine."""

from __future__ import annotations

import os
import shutil
import subprocess
import uuid
from collections.abc import Callable
from pathlib import Path

import pytest

from core.db import migrate, transactions
from core.db.transactions import read_session
from core.jobs import lifecycle
from core.settings import settings
from core.storage import layout, storage
from tests.conftest import ROOT
from tests.factories.jobs import accept_job
from tests.services.servers import PASSWORD

TOOLS = ("rclone", "aws", "mc")


@pytest.fixture
def service(servers: dict[str, str], new_database: Callable[[], str], use) -> dict[str, str]:
    """The environment of a service with a database and a bucket of its own."""
    named = servers | {
        # As SQLAlchemy knows it too: PostgreSQL's own programs do not.
        "DATABASE_URL": new_database().replace("postgresql://", "postgresql+psycopg2://"),
        "MINIO_BUCKET_NAME": f"test-{uuid.uuid4().hex[:12]}",
    }
    use(**named)
    return named


def run(script: str, folder: Path, service: dict[str, str], tool: str):
    return subprocess.run(
        [ROOT / "deploy" / script, folder],
        env=_without_aws() | service | {"S3_TOOL": tool},
        capture_output=True, text=True, check=False, timeout=300,
    )  # fmt: skip


def _without_aws() -> dict[str, str]:
    """This environment, without what it tells the programs of its tools of other servers."""
    return {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}


@pytest.mark.parametrize("tool", TOOLS)
def test_a_service_on_servers_is_backed_up_and_restored(
    tool: str, service: dict[str, str], new_database: Callable[[], str], use, tmp_path: Path
):
    for needed in (tool, "pg_dump", "pg_restore", "psql"):
        if shutil.which(needed) is None:
            pytest.skip(f"{needed} is not installed")
    migrate.upgrade_database()
    job_id = accept_job()
    names = ("source", "chunks/chunk_0000.wav", "transcription.srt")
    for name in names:
        storage().put_bytes(layout.job_prefix(job_id) + name, name.encode())
    folder = tmp_path / "backup"

    done = run("backup.sh", folder, service, tool)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1] == str(folder)
    assert PASSWORD not in done.stdout + done.stderr
    assert [one.name for one in tmp_path.iterdir() if "unfinished" in one.name] == []
    again = run("backup.sh", folder, service, tool)
    assert "never replaces a folder" in again.stderr
    into_full = run("restore.sh", folder, service, tool)
    assert "the database is not empty" in into_full.stderr

    other = service | {"DATABASE_URL": new_database()}
    into_full = run("restore.sh", folder, other, tool)
    assert "the bucket has jobs" in into_full.stderr
    other |= {"MINIO_BUCKET_NAME": f"test-{uuid.uuid4().hex[:12]}"}
    damaged = tmp_path / "damaged"
    shutil.copytree(folder, damaged)
    (damaged / "objects" / job_id / "source").write_bytes(b"other")
    assert "the backup is damaged" in run("restore.sh", damaged, other, tool).stderr

    done = run("restore.sh", folder, other, tool)
    assert done.returncode == 0, done.stderr
    use(**other)
    migrate.upgrade_database()
    with read_session() as session:
        assert lifecycle.get_job(session, job_id).transcript.audio_key == layout.source(job_id)
    assert storage().list_keys(layout.job_prefix(job_id)) == sorted(
        layout.job_prefix(job_id) + one for one in names
    )
    assert storage().get_bytes(layout.source(job_id)) == b"source"
    transactions.engine().dispose()
    assert settings().minio_bucket_name == other["MINIO_BUCKET_NAME"]


@pytest.mark.parametrize("script", ["backup.sh", "restore.sh"])
def test_a_script_without_servers_names_the_command(script: str, tmp_path: Path):
    done = run(script, tmp_path / "new", {}, "rclone")
    assert done.returncode != 0
    assert "transcribe backup" in done.stderr
