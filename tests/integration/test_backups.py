"""A backup of a running stack, restored elsewhere: its jobs go on, and nothing of it is lost."""

from __future__ import annotations

import sqlite3
import subprocess
from contextlib import closing
from pathlib import Path

import httpx2
import pytest

from tests.factories.transcripts import list_texts
from tests.integration.conftest import (
    TRANSCRIBE,
    clean_environment,
    marked,
    started,
    write_sample,
)
from tests.killing import kill_processes
from transcribe_api.client import Client, ServiceError

pytestmark = [pytest.mark.processes, pytest.mark.own_stack]

ARTEFACTS = "/api/transcribe/jobs/artefacts"


def ran(*words: str | Path) -> str:
    done = subprocess.run(
        [TRANSCRIBE, *words],
        env=clean_environment(), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def artefacts(url: str, key: str, job_id: str) -> dict[str, bytes]:
    """The files of a job, without its sound."""
    headers = {"Authorization": f"Bearer {key}"}
    listed = httpx2.get(f"{url}{ARTEFACTS}/{job_id}", headers=headers).json()["artefacts"]
    return {
        name: httpx2.get(f"{url}{ARTEFACTS}/{job_id}/{name}", headers=headers).content
        for name in listed
        if "/" not in name
    }


def counted(data_dir: Path, query: str) -> list[tuple]:
    with closing(sqlite3.connect(data_dir / "transcribe.db")) as records:
        return records.execute(query).fetchall()


def test_jobs_go_on_from_a_backup_that_was_made_while_they_ran(tmp_path: Path):
    old, new, file = tmp_path / "old", tmp_path / "new", tmp_path / "backup.tar"
    short = {"CHUNK_DURATION": "8"}
    recording = write_sample(tmp_path / "minute.wav", seconds=60)
    key = ran("keys", "create", "mine", "--data-dir", old)

    with started(old, **short) as first, Client(first.url, key=key) as client:
        finished = client.submit(recording)["job_id"]
        *_, last = client.events(finished)
        assert last.data["status"] == "completed"
        result, files = client.result(finished), artefacts(first.url, key, finished)
        running = client.submit(recording)["job_id"]
        waiting = client.submit(recording)["job_id"]
        next(event for event in client.events(running) if event.name == "segment")
        assert ran("backup", file, "--data-dir", old) == str(file)
        assert client.status(running)["status"] == "processing", "the service went on"
        first.process.kill()
        first.process.wait()
        kill_processes(marked(old))
    old.rename(tmp_path / "gone")

    ran("restore", file, "--data-dir", new)
    states = dict(
        counted(
            new, f"SELECT state, count(*) FROM job_parts WHERE job_id = '{running}' GROUP BY state"
        )
    )
    assert states.pop("stored") > 0
    assert states, "there is something left to do"

    with started(new, **short) as second, Client(second.url, key=key) as client:
        for job_id in (running, waiting):
            *_, last = client.events(job_id)
            assert last.data["status"] == "completed"
            again = client.result(job_id)
            assert (list_texts(again), again["warnings"]) == (list_texts(result), [])
        kept = client.result(finished)
        assert kept["segments"] == result["segments"]
        assert artefacts(second.url, key, finished) == files
        assert set(artefacts(second.url, key, running)) == set(files)
        with Client(second.url, key=f"{key[:-1]}-") as stranger, pytest.raises(ServiceError):
            stranger.status(finished)
    assert counted(new, "SELECT count(*) FROM transcripts") == [(3,)]
    each = {
        count for (count,) in counted(new, "SELECT count(*) FROM segments GROUP BY transcript_id")
    }
    assert each == {len(result["segments"])}, "each has its segments once"
