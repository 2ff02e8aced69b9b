"""The first chunks of a long recording are heard while the rest of it is cut."""

from __future__ import annotations

import subprocess
from pathlib import Path

import numpy as np
import pytest

from chunking.decode import decoder
from core.db.transactions import read_session, transaction
from core.jobs import lifecycle, part_creation, parts
from core.jobs.parts import PartId
from core.settings import settings
from core.states import PartKind, PartState, Stage
from core.storage import layout, storage
from tasks import pipeline
from tasks.celery import app
from tasks.reporting import job_status
from tasks.steps import early_dispatch
from tests.factories.jobs import (
    accept_job,
    begin_preparation,
    create_listening_job,
    finish_preparation,
    store_all_parts,
)
from tests.unit.media import babble, silence, write_wav
from transcripts.types import ChannelInterval

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture(autouse=True)
def many_chunks(monkeypatch: pytest.MonkeyPatch) -> None:
    """Some seconds a chunk, and so short a longest recording that one is soon known to be loud."""
    monkeypatch.setenv("CHUNK_DURATION", "10")
    monkeypatch.setenv("MAX_RECORDING_SECONDS", "1200")
    settings.cache_clear()
    app.loader.import_default_modules()
    monkeypatch.setattr(early_dispatch, "CHECK_EVERY_SECONDS", 0.0)


@pytest.fixture
def fanned_out(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    monkeypatch.setattr(pipeline, "fan_out", lambda job_id, *_: seen.append(job_id))
    return seen


@pytest.fixture
def job_id(tmp_path: Path) -> str:
    """A job with a recording of six minutes."""
    phrases = [np.concatenate([babble(3, seed=seed), silence(0.6)]) for seed in range(4)]
    path = write_wav(tmp_path / "talk.wav", np.concatenate(phrases * 25))
    job_id = accept_job(language="en-US", diarizer="classic")
    storage().put_file(layout.source(job_id), path)
    return job_id


class Workers:
    """Take what is sent ahead, or leave it."""

    def __init__(self, *, are_idle: bool) -> None:
        self.are_idle = are_idle
        self.sent: list[int] = []

    def take(self, job_id: str, chunks: list[PartId]) -> None:
        for chunk in chunks:
            assert storage().get_bytes(layout.chunk_audio(job_id, chunk.position))
            self.sent.append(chunk.position)
            if self.are_idle:
                with transaction() as session:
                    assert parts.lease_part(session, chunk, "worker")


@pytest.fixture(params=[True, False], ids=["idle workers", "busy workers"])
def workers(request, monkeypatch: pytest.MonkeyPatch) -> Workers:
    workers = Workers(are_idle=request.param)
    monkeypatch.setattr(pipeline, "send_chunks_ahead", workers.take)
    return workers


def prepare(job_id: str) -> None:
    app.tasks["prepare"].apply(args=(job_id,), throw=True)


def chunks(job_id: str) -> list[tuple[int, str]]:
    with read_session() as session:
        rows = lifecycle.list_parts(session, job_id, PartKind.CHUNK)
        return [(row.position, row.state) for row in rows]


def test_chunks_are_sent_ahead_as_workers_take_them(job_id, workers, fanned_out):
    prepare(job_id)
    found = chunks(job_id)
    assert [position for position, _ in found] == list(range(len(found)))
    assert workers.sent == list(range(len(workers.sent))), "in order, and each once"
    assert 0 < len(workers.sent) < len(found)
    state = PartState.RUNNING if workers.are_idle else PartState.WAITING
    assert {found[position][1] for position in workers.sent} == {state}
    assert fanned_out == [job_id]
    assert all(storage().get_bytes(layout.chunk_audio(job_id, one)) for one, _ in found)


def test_a_decoder_that_is_killed_is_started_again(job_id, monkeypatch, fanned_out):
    """As by a kernel whose memory runs out: that says nothing about the recording."""
    start, killed = decoder._start_process, []

    def start_and_kill_the_first(*args: object) -> subprocess.Popen[bytes]:
        process = start(*args)
        if not killed:
            process.kill()
            killed.append(process)
        return process

    monkeypatch.setattr(decoder, "_start_process", start_and_kill_the_first)
    app.tasks["prepare"].apply(args=(job_id,), throw=False)
    assert killed
    assert fanned_out == [job_id]


def test_whoever_prepares_again_keeps_what_was_begun(job_id, monkeypatch, fanned_out):
    workers = Workers(are_idle=True)
    monkeypatch.setattr(pipeline, "send_chunks_ahead", workers.take)
    prepare(job_id)
    before = chunks(job_id)
    with transaction() as session:
        lifecycle.get_job(session, job_id).run.stage = Stage.QUEUED
    prepare(job_id)
    assert chunks(job_id) == before
    assert workers.sent == sorted(set(workers.sent)), "and sends nothing of it again"


def test_a_recording_cut_otherwise_begins_anew():
    job_id = accept_job()
    begin_preparation(job_id)
    before = [ChannelInterval(0, 10), ChannelInterval(10, 20), ChannelInterval(20, 30)]
    with transaction() as session:
        part_creation.write_parts(session, job_id, PartKind.CHUNK, before, is_complete=False)
    first, second = (PartId(job_id, PartKind.CHUNK, position) for position in (0, 1))
    with transaction() as session:
        places = [parts.lease_part(session, part, "worker") for part in (first, second)]
    now = [ChannelInterval(0, 10), ChannelInterval(10, 25)]
    with transaction() as session:
        part_creation.write_parts(session, job_id, PartKind.CHUNK, now)
    with transaction() as session:
        parts.mark_stored(session, first, places[0], "0" * 64)
        parts.mark_stored(session, second, places[1], "0" * 64)
    assert chunks(job_id) == [(0, PartState.STORED), (1, PartState.WAITING)]


def test_what_was_heard_before_all_was_cut_stays_heard():
    job_id = accept_job()
    begin_preparation(job_id)
    with transaction() as session:
        part_creation.write_parts(
            session, job_id, PartKind.CHUNK, [ChannelInterval(0, 30)], is_complete=False
        )
    chunk = PartId(job_id, PartKind.CHUNK, 0)
    with transaction() as session:
        place = parts.lease_part(session, chunk, "worker")
    with transaction() as session:
        parts.mark_stored(session, chunk, place, "0" * 64)
    with read_session() as session:
        told = job_status.describe_job(session, job_id)
    assert (told.stage, told.chunks_done) == (Stage.PREPARE, 1)
    assert finish_preparation(job_id, chunks=3)
    assert [state for _, state in chunks(job_id)] == ["stored", "waiting", "waiting"]


@pytest.mark.parametrize("done", [True, False])
def test_the_last_chunk_that_was_sent_ahead_has_the_parts_merged(merged, done: bool):
    job_id = create_listening_job()
    store_all_parts(job_id, shards=1 if done else 0)
    pipeline.merge_if_last(job_id, is_counted=False)
    assert merged == [job_id] * done


def test_the_chord_has_the_parts_merged_until_one_is_sent_again(merged):
    job_id = create_listening_job()
    store_all_parts(job_id)
    pipeline.merge_if_last(job_id, is_counted=True)
    assert merged == []
    with transaction() as session:
        lifecycle.get_job(session, job_id).run.parts_resent = 1
    pipeline.merge_if_last(job_id, is_counted=True)
    assert merged == [job_id]


@pytest.fixture
def merged(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    seen: list[str] = []
    monkeypatch.setattr(pipeline, "send_merge", seen.append)
    return seen


def test_a_recording_that_breaks_off_takes_back_what_was_sent(job_id, workers, monkeypatch):
    taken_back = []
    monkeypatch.setattr(
        "tasks.cancelling.withdraw_messages", lambda job_id, *_: taken_back.append(job_id)
    )
    monkeypatch.setenv("MAX_RECORDING_SECONDS", "300")
    settings.cache_clear()
    prepare(job_id)
    with read_session() as session:
        told = job_status.describe_job(session, job_id)
    assert told.error.code == "recording_too_long"
    assert workers.sent
    assert taken_back == ([] if workers.are_idle else [job_id])
