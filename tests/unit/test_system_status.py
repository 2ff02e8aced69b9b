"""The state of the whole service, as far as it is known."""

from __future__ import annotations

import os
from collections import namedtuple
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path
from threading import Event, Thread

import pytest

from core import clock
from core.db.transactions import read_session, transaction
from core.errors import EngineError
from core.jobs import lifecycle
from core.jobs import totals as jobs_totals
from core.live.worker_registry import ProcessReporter
from core.settings import settings
from core.states import JobStatus, Stage
from core.storage import layout, storage
from tasks.celery import app
from tests.factories.jobs import (
    accept_job,
    begin_merge,
    begin_preparation,
    complete_job,
    finish_preparation,
    read_state,
)
from tests.factories.recordings import build_recording
from tests.factories.steps import run_step, store_chunk, store_shard
from transcribe_api import system_status
from transcribe_api.app import create_app
from transcribe_api.system_status import _totals

pytestmark = pytest.mark.usefixtures("database")


def completed(seconds: float) -> None:
    job_id = accept_job()
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=0, shards=0)
    begin_merge(job_id)
    complete_job(job_id)
    with transaction() as session:
        job = lifecycle.get_job(session, job_id)
        job.started_at = clock.utc_now() - timedelta(seconds=seconds)
        job.completed_at = clock.utc_now()


def one_of_each() -> None:
    accept_job()
    begin_preparation(accept_job())
    completed(10)
    completed(20)
    failed, cancelled = accept_job(), accept_job()
    with transaction() as session:
        lifecycle.fail_job(session, failed, EngineError("no"))
        lifecycle.cancel_job(session, cancelled)


def test_jobs_are_counted_by_status_and_stage():
    one_of_each()
    with read_session() as session:
        totals = jobs_totals.compute_totals(session)
        stages = jobs_totals.count_by_stage(session)
    assert totals.by_status == {
        JobStatus.QUEUED: 1,
        JobStatus.PROCESSING: 1,
        JobStatus.COMPLETED: 2,
        JobStatus.FAILED: 1,
        JobStatus.CANCELLED: 1,
    }
    assert (totals.active, totals.over) == (2, 4)
    assert totals.average_seconds == pytest.approx(15, abs=0.1)
    assert stages == {Stage.QUEUED: 1, Stage.PREPARE: 1, Stage.LISTEN: 0, Stage.MERGE: 0}


@pytest.mark.usefixtures("redis_server")
def test_the_status_tells_of_jobs_machine_queues_and_workers():
    one_of_each()
    facts = {
        "queues": ["merge"], "processes": 2, "memory_bytes": 2**30, "peak_memory_bytes": 2**31,
        "cpu_percent": 5, "started_at": clock.format_iso(clock.utc_now()), "version": "1",
    }  # fmt: skip
    ProcessReporter("worker@host").report(facts, [])
    now = create_app().test_client().get("/api/transcribe/system/status").json
    assert (now["active_jobs"], now["completed_jobs"]) == (2, 2)
    assert now["jobs"]["cancelled"] == 1
    assert now["queues"]["merge"]["workers"] == 0
    assert now["resource_manager"]["memory"]["used_gb"] > 0
    assert 0 <= now["resource_manager"]["cpu"]["percent"] <= 100
    [worker] = now["workers"]
    assert (worker["name"], worker["queues"], worker["memory_gb"]) == ("worker@host", ["merge"], 1)
    stats = now["orchestrator_stats"]
    assert stats["average_processing_time"] == pytest.approx(15, abs=0.1)
    assert (stats["successful_jobs"], stats["total_jobs_processed"]) == (2, 4)
    assert stats["peak_memory_usage"] >= 2
    assert now["uptime"] > 0


def test_a_busy_machine_is_never_told_to_be_idle():
    fields = namedtuple("times", "user nice system idle iowait guest")  # as psutil has them
    before = fields(10.0, 0.0, 5.0, 100.0, 10.0, 3.0)
    after = fields(12.0, 0.0, 6.0, 105.0, 12.0, 5.0)
    assert system_status._busy_percent(before, after) == 30.0
    assert system_status._busy_percent(after, after) == 0.0


def test_the_first_answer_in_a_thread_is_not_0():
    cpu, stop = system_status._CpuMeter(), Event()
    busy = Thread(target=lambda: any(iter(stop.is_set, True)))
    busy.start()
    try:
        with ThreadPoolExecutor(3) as pool:
            told = list(pool.map(lambda _: cpu.percent(), range(3)))
    finally:
        stop.set()
        busy.join()
    assert min(told) > 0


def test_the_status_is_told_without_a_broker_and_counts_seldom():
    browser = create_app().test_client()
    now = browser.get("/api/transcribe/system/status").json
    assert now["queues"]["control"] == {"waiting": None, "workers": 0}
    assert now["workers"] == []
    accept_job()
    again = browser.get("/api/transcribe/system/status").json
    assert again["active_jobs"] == now["active_jobs"], "counted a moment ago"
    _totals._cached = None
    assert browser.get("/api/transcribe/system/status").json["active_jobs"] == 1


@pytest.fixture
def media(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The one folder that paths may lead to."""
    folder = tmp_path / "media"
    folder.mkdir()
    (folder / "a.wav").write_bytes(build_recording().getvalue())
    monkeypatch.setenv("MEDIA_ROOTS", str(folder))
    settings.cache_clear()
    return folder


def process(file_path: object, output_dir: object):
    asked = {"file_path": str(file_path), "output_dir": str(output_dir)}
    return create_app().test_client().post("/process", json=asked)


def test_a_file_of_this_machine_becomes_a_job_like_all_others(media: Path):
    answer = process(media / "a.wav", media / "out")
    assert answer.status_code == 202
    assert list(answer.json) == ["job_id"]
    job_id = answer.json["job_id"]
    with read_session() as session:
        job = lifecycle.get_job(session, job_id)
        assert job.transcript.filename == "a.wav"
        assert lifecycle.read_spec(job).output_dir == str(media / "out")
    assert storage().get_bytes(layout.source(job_id)) == (media / "a.wav").read_bytes()
    state = create_app().test_client().get(f"/status/{job_id}").json
    assert (state["job_id"], state["status"]) == (job_id, "queued")


@pytest.mark.parametrize("field", ["file_path", "output_dir"])
@pytest.mark.parametrize("path", ["elsewhere", "media/../elsewhere", "media/link", "media2/x"])
def test_a_path_that_leads_elsewhere_is_refused(media: Path, field: str, path: str):
    elsewhere = media.parent / "elsewhere"
    elsewhere.write_bytes(build_recording().getvalue())
    (media / "link").symlink_to(elsewhere)
    paths = {"file_path": media / "a.wav", "output_dir": media / "out"}
    answer = process(**{**paths, field: media.parent / path})
    assert (answer.status_code, answer.json["field"]) == (422, field)
    assert answer.json["code"] == "path_refused"
    assert storage().list_keys("jobs/") == []


@pytest.mark.parametrize("path", ["a.wav", "\0", "/" + "x" * 4000, "", "{media}/loop/x"])
def test_what_is_no_path_is_refused(media: Path, path: str):
    (media / "loop").symlink_to(media / "loop")
    answer = process(path.format(media=media), media / "out")
    assert (answer.status_code, answer.json["field"]) == (422, "file_path")


def test_without_media_roots_every_path_is_refused():
    answer = process("/etc/passwd", "/tmp")
    assert answer.status_code == 422
    assert "MEDIA_ROOTS" in answer.json["detail"]


@pytest.mark.parametrize("name", ["none.wav", "folder", "pipe", "text.mp3"])
def test_what_is_no_recording_is_refused(media: Path, name: str):
    (media / "folder").mkdir()
    os.mkfifo(media / "pipe")
    (media / "text.mp3").write_text("no sound")
    answer = process(media / name, media / "out")
    assert answer.status_code == 422
    assert storage().list_keys("jobs/") == []


def test_a_file_that_is_too_large_is_refused(media: Path, monkeypatch):
    monkeypatch.setenv("MAX_FILE_SIZE", "1000")
    settings.cache_clear()
    answer = process(media / "a.wav", media / "out")
    assert (answer.status_code, answer.json["code"]) == (413, "file_too_large")


def merged(output_dir: Path) -> str:
    """A job that is merged, with one chunk; its files are to be written there."""
    job_id = accept_job(language="en-US", output_dir=str(output_dir))
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=1, shards=1)
    storage().put_bytes(layout.chunk_audio(job_id, 0), b"sound")
    store_chunk(job_id, 0, "good morning")
    store_shard(job_id)
    app.loader.import_default_modules()
    run_step("merge", job_id)
    assert read_state(job_id)["status"] == "completed"
    return job_id


def written(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in folder.rglob("*")
        if path.is_file()
    }


def test_the_files_of_a_job_are_written_where_its_caller_wished(media: Path):
    job_id = merged(media / "new" / "out")
    files = written(media / "new" / "out")
    assert set(files) == {*layout.ARTEFACTS, "chunks/chunk_0000.wav"} - {layout.WAVEFORM}
    for name, data in files.items():
        assert data == storage().get_bytes(layout.artefact(job_id, name))
    assert read_state(job_id)["warnings"] == []


def test_writing_again_replaces_what_is_there_and_follows_no_link(media: Path):
    precious = media / "precious"
    precious.write_text("mine")
    out = media / "out"
    out.mkdir()
    (out / "transcription.txt").symlink_to(precious)
    merged(out)
    merged(out)
    assert precious.read_text() == "mine"
    assert b"good morning" in (out / "transcription.txt").read_bytes()


@pytest.mark.parametrize("trouble", ["closed", "link", "file"])
def test_files_that_cannot_be_written_are_a_warning_and_no_failure(
    media: Path, monkeypatch, trouble: str
):
    out, elsewhere = media / "out", media.parent / "elsewhere"
    out.mkdir()
    elsewhere.mkdir()
    if trouble == "closed":
        monkeypatch.delenv("MEDIA_ROOTS")
        settings.cache_clear()
    elif trouble == "link":
        (out / "chunks").symlink_to(elsewhere)
    else:
        (out / "chunks").write_text("in the way")
    [warning] = read_state(merged(out))["warnings"]
    assert warning["code"] == "files_not_written"
    assert "could not be written" in warning["sentence"]
    assert list(elsewhere.iterdir()) == []
