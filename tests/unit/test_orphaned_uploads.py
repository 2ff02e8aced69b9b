"""What a service that was killed in a submission has left is removed, and nothing else."""

from __future__ import annotations

import os
import uuid

import pytest

from core.db.transactions import transaction
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.storage import directory, layout, orphaned_uploads, storage
from tasks.steps import housekeeping
from tests.factories.jobs import accept_job

pytestmark = pytest.mark.usefixtures("database")

SECONDS = orphaned_uploads.MIN_AGE.total_seconds()


def put(job_id: str, *names: str, age: float = SECONDS + 60) -> str:
    """Objects of a job, written so many seconds ago."""
    for name in names:
        storage().put_bytes(layout.job_prefix(job_id) + name, b"sound")
        with storage().open_local(layout.job_prefix(job_id) + name) as path:
            moment = path.stat().st_mtime - age
            os.utime(path, (moment, moment))
    return job_id


def left() -> set[str]:
    return {name for page in storage().list_folders(layout.JOBS_PREFIX) for name in page}


def test_only_old_uploads_that_belong_to_no_job_are_removed(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(directory, "PAGE_SIZE", 2)
    stray = [put(str(uuid.uuid4()), "source") for _ in range(5)]
    kept = {
        put(accept_job(), "source"),
        put(accept_job(), "source", "chunks/chunk_0000.wav"),
        put(str(uuid.uuid4()), "source", age=SECONDS - 60),  # its row may still be written
        put(str(uuid.uuid4()), "source", "transcription.srt"),  # another database knows it
        put("not-a-job", "source"),
    }
    storage().put_bytes("incoming/call.wav", b"theirs")
    assert len(list(storage().list_folders(layout.JOBS_PREFIX))) == 5
    assert sorted(orphaned_uploads.remove_orphans()) == sorted(stray)
    assert left() == kept
    assert orphaned_uploads.remove_orphans() == []
    assert storage().get_bytes("incoming/call.wav") == b"theirs"


def test_a_job_that_is_accepted_while_they_are_looked_for_keeps_its_recording(monkeypatch):
    job_id = str(uuid.uuid4())
    put(job_id, "source")
    seen = storage().list_folders

    def accepted_meanwhile(prefix: str):
        pages = list(seen(prefix))
        spec = JobSpec(engine="sphinx", diarizer=None)
        with transaction() as session:
            lifecycle.accept_job(
                session, job_id, spec, filename="a", audio_bytes=1, audio_sha256="0" * 64
            )
        return pages

    monkeypatch.setattr(storage(), "list_folders", accepted_meanwhile, raising=False)
    assert orphaned_uploads.remove_orphans() == []
    assert storage().get_bytes(layout.source(job_id)) == b"sound"


def test_housekeeping_says_what_it_removed(monkeypatch: pytest.MonkeyPatch):
    said = []
    monkeypatch.setattr(housekeeping.log, "warning", lambda _, job_id: said.append(job_id))
    job_id = put(str(uuid.uuid4()), "source")
    housekeeping.remove_strays()
    assert left() == set()
    assert said == [job_id]


def test_an_empty_storage_has_none():
    assert orphaned_uploads.remove_orphans() == []
