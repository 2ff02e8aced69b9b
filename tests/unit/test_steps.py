"""The steps themselves, run in this process: real database and storage, no broker."""

from __future__ import annotations

import json
import socket
import uuid
from dataclasses import replace
from datetime import timedelta

import numpy as np
import pytest

from core import clock
from core.access import user_resources
from core.db.models import ContextRow, JobPart, SegmentRow
from core.db.transactions import read_session, transaction
from core.edits import segment_edits, speaker_names
from core.errors import Conflict, EngineError, Transient, Unavailable
from core.jobs import lifecycle, parts
from core.jobs import retry as job_retry
from core.jobs.parts import PartId
from core.jobs.recovery import Need
from core.live import redis_epoch
from core.settings import settings
from core.states import Channels, PartKind, Stage
from core.storage import layout, storage
from engines import catalog, wav
from tasks import queue_lengths
from tasks.celery import app
from tasks.steps import base, housekeeping, loaded_engines
from tests.factories.jobs import (
    accept_job,
    begin_merge,
    begin_preparation,
    complete_job,
    read_state,
    send_parts,
)
from tests.factories.steps import (
    create_english_job,
    fail_part,
    read_segments,
    run_step,
    store_chunk,
    store_result,
    store_shard,
)
from tests.unit.media import babble, write_wav
from transcribe_api.cli.warning_lines import fold_warnings
from transcripts.serialization import words_to_json
from transcripts.types import Transcription, Turn, Word

pytestmark = pytest.mark.usefixtures("database", "sent_messages")


def give_context(job_id: str, **values: object) -> None:
    with transaction() as session:
        context = user_resources.create_row(session, ContextRow, name="Monday", **values)
        lifecycle.get_job(session, job_id).transcript.context_id = context.id


def test_a_merge_puts_words_and_speakers_together():
    job_id = create_english_job()
    store_chunk(job_id, 0, "good morning")
    store_chunk(job_id, 1, "hello there")
    store_shard(job_id, Turn(0, 10, 0), Turn(30, 40, 1))
    run_step("merge", job_id)
    assert read_segments(job_id) == [("good morning", 0), ("hello there", 1)]
    assert read_state(job_id)["status"] == "completed"
    assert {
        key.removeprefix(layout.job_prefix(job_id))
        for key in storage().list_keys(layout.job_prefix(job_id))
    } > {*layout.ARTEFACTS} - {layout.WAVEFORM}


def test_a_step_holds_its_leases_under_the_name_that_the_heartbeat_knows(monkeypatch):
    owners = []
    monkeypatch.setattr(lifecycle, "begin_merge", lambda *about: owners.extend(about[2:]))
    app.tasks["merge"].apply(args=(create_english_job(),), task_id="message-1", throw=True)
    assert owners == ["message-1", socket.gethostname()]


def test_a_second_merge_changes_nothing():
    job_id = create_english_job()
    store_chunk(job_id, 0, "once")
    store_chunk(job_id, 1, "only")
    store_shard(job_id)
    run_step("merge", job_id)
    before = read_state(job_id)
    run_step("merge", job_id)
    assert read_state(job_id) == before


def test_a_merge_that_comes_too_early_leaves_the_job_alone():
    job_id = create_english_job()
    store_chunk(job_id, 0, "early")
    run_step("merge", job_id)
    assert read_state(job_id)["stage"] == Stage.LISTEN


class TestRoles:
    """What a merge tells of the roles of speakers."""

    HERS = (
        "good morning Mister Jones I'm doctor Smith what brings you in today "
        "and how long have you had that bad cough"
    )
    HIS = (
        "well doctor I've been having it for two days it hurts at night "
        "I feel tired and I take those pills"
    )

    @pytest.fixture
    def heard(self) -> str:
        job_id = create_english_job()
        store_chunk(job_id, 0, self.HERS)
        store_chunk(job_id, 1, self.HIS)
        store_shard(job_id, Turn(0, 30, 0), Turn(30, 60, 1))
        return job_id

    def roles(self, job_id: str) -> tuple[dict, dict]:
        run_step("merge", job_id)
        with read_session() as session:
            transcript = lifecycle.get_job(session, job_id).transcript
            return transcript.speaker_roles, transcript.speaker_role_scores

    def test_a_context_tells_them(self, heard: str):
        give_context(heard, roles="consultation")
        roles, scores = self.roles(heard)
        assert roles == {"0": "provider", "1": "patient"}
        assert all(0.8 < scores[speaker] < 1 for speaker in ("0", "1"))
        told = json.loads(storage().get_bytes(layout.artefact(heard, "diarization_results.json")))
        assert told["speaker_roles"] == {"SPEAKER_00": "provider", "SPEAKER_01": "patient"}

    def test_cues_of_the_caller_tell_them_and_null_is_who_says_none(self, heard: str):
        give_context(heard, roles={"sick": ["well doctor", "pills"], "judge": ["the court"]})
        roles, scores = self.roles(heard)
        assert (roles, scores["0"]) == ({"0": None, "1": "sick"}, 0.0)

    @pytest.mark.parametrize("given", [None, {}, "a name of an older version"])
    def test_without_a_lexicon_there_are_none(self, heard: str, given: object):
        if given is not None:
            give_context(heard, roles=given)
        assert self.roles(heard) == ({}, {})
        told = json.loads(storage().get_bytes(layout.artefact(heard, "diarization_results.json")))
        assert "speaker_roles" not in told

    def test_the_context_of_somebody_else_tells_nothing(self, heard: str):
        give_context(heard, roles="consultation", owner_id=uuid.uuid4())
        assert self.roles(heard) == ({}, {})

    def test_they_are_found_anew_when_a_gap_is_filled(self):
        job_id = create_english_job()
        give_context(job_id, roles="consultation")
        store_chunk(job_id, 0, self.HIS)
        store_shard(job_id, Turn(0, 30, 0), Turn(30, 60, 1))
        fail_part(job_id, PartKind.CHUNK, 1, "no such sound")
        assert self.roles(job_id)[0] == {"0": "patient"}
        with transaction() as session:
            job_retry.retry_job(session, job_id)
            transcript = lifecycle.get_job(session, job_id).transcript
            assert (transcript.speaker_roles, transcript.speaker_role_scores) == ({}, {})
        store_chunk(job_id, 1, self.HERS)
        assert self.roles(job_id)[0] == {"0": "patient", "1": "provider"}

    def test_speakers_keep_them_under_other_names(self, heard: str):
        give_context(heard, roles="consultation")
        self.roles(heard)
        with transaction() as session:
            transcript = lifecycle.get_job(session, heard).transcript
            shown = speaker_names.rename_speakers(session, transcript.id, {"0": "Dr. Smith"})
            assert shown == {"0": "Dr. Smith", "1": "SPEAKER_01"}
            assert transcript.speaker_roles == {"0": "provider", "1": "patient"}


@pytest.mark.parametrize("damage", ["removed", "changed"])
def test_a_part_that_is_gone_or_damaged_is_done_again(sent_messages, damage: str):
    job_id = create_english_job()
    store_chunk(job_id, 0, "kept")
    store_chunk(job_id, 1, "lost")
    store_shard(job_id)
    key = layout.chunk_transcription(job_id, 1)
    storage().delete(key)
    if damage == "changed":
        storage().put_bytes(key, b"{}")
    run_step("merge", job_id)
    assert sent_messages == [("fan_out", job_id)]
    store_chunk(job_id, 1, "found")
    run_step("merge", job_id)
    assert [text for text, _ in read_segments(job_id)] == ["kept", "found"]


def test_a_failed_chunk_is_a_gap_with_a_name():
    job_id = create_english_job()
    store_chunk(job_id, 0, "here")
    store_shard(job_id)
    fail_part(job_id, PartKind.CHUNK, 1, "no such sound")
    run_step("merge", job_id)
    now = read_state(job_id)
    assert now["status"] == "completed"
    assert [*fold_warnings(now["warnings"])] == [
        "0:30-1:00: this chunk could not be transcribed: no such sound"
    ]
    assert read_segments(job_id) == [("here", None)]


def test_a_gap_can_be_filled_by_trying_again():
    job_id = create_english_job()
    store_chunk(job_id, 0, "here")
    store_shard(job_id)
    fail_part(job_id, PartKind.CHUNK, 1, "no such sound")
    run_step("merge", job_id)
    with transaction() as session:
        job_retry.retry_job(session, job_id)
    now = read_state(job_id)
    assert (now["status"], now["warnings"], now["chunks_done"]) == ("processing", [], 1)
    store_chunk(job_id, 1, "and there")
    run_step("merge", job_id)
    assert [text for text, _ in read_segments(job_id)] == ["here", "and there"]
    assert read_state(job_id)["warnings"] == []


def test_names_and_texts_of_callers_stay_when_a_job_is_done_again():
    job_id = create_english_job()
    store_chunk(job_id, 1, "hello there")
    store_shard(job_id, Turn(0, 10, 0), Turn(30, 40, 1))
    fail_part(job_id, PartKind.CHUNK, 0, "no such sound")
    run_step("merge", job_id)
    with transaction() as session:
        transcript_id = lifecycle.get_job(session, job_id).transcript_id
        speaker_names.rename_speakers(session, transcript_id, {"1": "Ana"})
        segment_edits.edit_segment(session, transcript_id, 0, {"text": "Hello, there!"})
        job_retry.retry_job(session, job_id)
    store_chunk(job_id, 0, "good morning")
    run_step("merge", job_id)
    assert read_segments(job_id) == [("good morning", 0), ("Hello, there!", 1)]
    with read_session() as session:
        transcript = lifecycle.get_job(session, job_id).transcript
        assert transcript.speaker_names == {"1": "Ana"}
        assert [row.heard_words is None for row in transcript.segments] == [True, False]


def test_a_name_moves_to_the_new_number_of_its_speaker_and_goes_with_him():
    job_id = create_english_job()
    with transaction() as session:
        transcript = lifecycle.get_job(session, job_id).transcript
        transcript.speaker_names = {"1": "Ana", "0": "Ben"}
        for at, speaker in enumerate((1, 0)):
            times = {"start": 30.0 * at, "end": 30.0 * at + 2}
            session.add(
                SegmentRow(
                    transcript_id=transcript.id, position=at, text="", speaker_tag=speaker, **times
                )
            )
    store_chunk(job_id, 0, "now first")
    fail_part(job_id, PartKind.CHUNK, 1, "no such sound")
    store_shard(job_id, Turn(0, 10, 7))
    run_step("merge", job_id)
    with read_session() as session:
        transcript = lifecycle.get_job(session, job_id).transcript
        assert transcript.speaker_names == {"0": "Ana"}
        assert [one.text for one in transcript.segments] == ["now first"]
        assert transcript.warnings[-1].sentence == (
            "the name 'Ben' was removed: its speaker was not detected again"
        )


@pytest.mark.parametrize("reheard", [True, False])
def test_an_engine_that_passes_over_speech_hears_that_stretch_again(
    tmp_path, monkeypatch, reheard: bool
):
    """From the recording to the words; only what an engine would hear is made up."""
    job_id = accept_job(diarizer=None, language="en-US")
    recording = write_wav(tmp_path / "talk.wav", babble(12))
    storage().put_file(layout.source(job_id), recording)
    run_step("prepare", job_id)

    class Hasty:
        """Hears a word at the beginning of what it is given, and one at the end."""

        def transcribe(self, audio, hints):
            seconds = wav.read_duration(audio)
            begin = Word(f"{seconds:.0f} s", 0.6, 1.0, 0.9)
            return Transcription((begin, Word("end", seconds - 3, seconds, 0.9)))

    monkeypatch.setattr(loaded_engines, "load_recognizer", lambda *_: Hasty())
    spec = replace(catalog.SPHINX, reheard=reheard)
    monkeypatch.setattr(catalog, "recognizer", lambda _name: spec)
    run_step("transcribe_chunk", job_id, 0)
    stored = json.loads(storage().get_bytes(layout.chunk_transcription(job_id, 0)))
    assert stored["text"] == ("12 s 9 s end" if reheard else "12 s end")


def test_speech_without_words_is_a_warning_and_in_the_report():
    job_id = create_english_job(chunks=3, shards=0)
    store_chunk(job_id, 0, "here are some words")
    store_chunk(job_id, 1, "and here")
    fail_part(job_id, PartKind.CHUNK, 2, "no such sound")
    speech = [[[0.0, 4.0], [5.0, 11.25]], [[30.0, 32.0]], [[60.0, 90.0]]]
    chunks = [{"index": at, "speech": spans} for at, spans in enumerate(speech)]
    storage().put_bytes(
        layout.artefact(job_id, layout.CHUNKS_METADATA), json.dumps({"chunks": chunks}).encode()
    )
    run_step("merge", job_id)
    assert [*fold_warnings(read_state(job_id)["warnings"])] == [
        "1:00-1:30: this chunk could not be transcribed: no such sound",
        "0:03-0:11: the audio seems to contain speech, but no words were transcribed",
    ]
    report = json.loads(storage().get_bytes(layout.artefact(job_id, "whisper_results.json")))
    assert [chunk.get("coverage") for chunk in report["chunks"]] == [
        {
            "speech_seconds": 10.25,
            "speech_seconds_without_words": 6.75,
            "holes": [{"start": 3.5, "end": 11.25}],
        },
        {"speech_seconds": 2.0, "speech_seconds_without_words": 0.0, "holes": []},
        None,
    ]


@pytest.mark.parametrize("state", ["queued", "prepared", "completed", "removed"])
def test_only_what_is_over_and_not_done_is_tried_again(state: str):
    job_id = accept_job() if state == "queued" else create_english_job(shards=0)
    if state in ("completed", "removed"):
        store_chunk(job_id, 0, "half")
    if state == "completed":
        store_chunk(job_id, 1, "all")
        run_step("merge", job_id)
    if state == "removed":
        fail_part(job_id, PartKind.CHUNK, 1, "no such sound")
        run_step("merge", job_id)
        with transaction() as session:
            lifecycle.get_job(session, job_id).transcript.audio_key = None
    with transaction() as session, pytest.raises(Conflict):
        job_retry.retry_job(session, job_id)


def test_a_job_that_failed_before_it_was_cut_begins_again():
    job_id = accept_job()
    begin_preparation(job_id)
    with transaction() as session:
        lifecycle.fail_job(session, job_id, EngineError("hiccup"))
        job_retry.retry_job(session, job_id)
    assert read_state(job_id)["status"] == "queued"
    assert begin_preparation(job_id)


def test_a_cancelled_job_is_not_worked_on():
    job_id = create_english_job()
    store_chunk(job_id, 0, "a")
    with transaction() as session:
        lifecycle.cancel_job(session, job_id)
        assert parts.lease_part(session, PartId(job_id, PartKind.CHUNK, 1), "me") is None
    run_step("merge", job_id)
    assert read_state(job_id)["status"] == "cancelled"


def test_what_a_step_writes_after_its_job_was_deleted_is_removed():
    job_id = create_english_job()
    with transaction() as session:
        lifecycle.delete_job(session, job_id)
    storage().put_bytes(layout.chunk_transcription(job_id, 0), b"late")
    run_step("transcribe_chunk", job_id, 0)
    assert storage().list_keys(layout.job_prefix(job_id)) == []


def test_a_failed_chunk_fails_the_job_where_that_is_wanted(monkeypatch):
    monkeypatch.setenv("FAILED_CHUNKS", "fail")
    settings.cache_clear()
    job_id = create_english_job()
    store_chunk(job_id, 0, "here")
    store_shard(job_id)
    fail_part(job_id, PartKind.CHUNK, 1, "no such sound")
    run_step("merge", job_id)
    assert read_state(job_id)["error"]["code"] == "engine_failed"


def test_a_job_without_any_chunk_has_failed():
    job_id = create_english_job()
    store_shard(job_id)
    for position in range(2):
        fail_part(job_id, PartKind.CHUNK, position, "no such sound")
    run_step("merge", job_id)
    now = read_state(job_id)
    assert now["status"] == "failed"
    assert "no such sound" in now["message"]


def test_a_transcript_without_speakers_is_better_than_none():
    job_id = create_english_job()
    store_chunk(job_id, 0, "who")
    store_chunk(job_id, 1, "knows")
    fail_part(job_id, PartKind.SHARD, 0, "too many voices")
    run_step("merge", job_id)
    now = read_state(job_id)
    assert now["status"] == "completed"
    [warning] = now["warnings"]
    assert (warning["code"], warning["retryable"]) == ("speakers_failed", True)
    assert warning["sentence"] == "the speakers could not be detected: too many voices"
    assert read_segments(job_id) == [("who", None), ("knows", None)]


def test_a_step_that_meets_an_outage_is_tried_again(monkeypatch, sent_messages):
    job_id = create_english_job()
    store_chunk(job_id, 0, "a")
    store_chunk(job_id, 1, "b")
    store_shard(job_id)
    tries = []
    whole = type(storage()).put_bytes

    def put_bytes(self, key: str, data: bytes) -> None:
        tries.append(key)
        if len(tries) <= 2 * settings().chunk_max_retries:
            raise Unavailable("the object store does not answer")
        whole(self, key, data)

    monkeypatch.setattr(type(storage()), "put_bytes", put_bytes)
    app.tasks["merge"].apply(args=(job_id,))
    assert read_state(job_id)["status"] == "completed"


@pytest.mark.parametrize(
    ("reason", "tries", "least", "most"),
    [
        (Transient("a hiccup"), 0, 1.6, 2.4),
        (Transient("a hiccup"), 3, 12.8, 19.2),
        (Transient("a hiccup"), 9, 48, 72),
        (Unavailable("down for hours"), 2000, 48, 72),
        (Unavailable("busy", retry_in=40), 0, 40, 40),
        (Unavailable("busy", retry_in=40), 9, 48, 72),
        (Unavailable("busy for a day", retry_in=86400), 0, 300, 300),
        (base.UnexpectedError("who knows"), 0, 1.6, 2.4),
    ],
)
def test_the_next_try_comes_when_it_is_asked_for_and_within_reason(reason, tries, least, most):
    assert least <= base._retry_delay(reason, tries) <= most


def test_hours_of_outage_take_no_try_from_what_comes_after(monkeypatch):
    job_id = create_english_job()
    tries = [Unavailable("down"), *[Transient("a hiccup")] * settings().chunk_max_retries]
    now = after_outages(base.OUTAGE_RETRIES - 1, job_id, tries, monkeypatch)
    assert now["status"] == "completed"
    assert tries == []


def test_an_outage_without_end_is_given_up(monkeypatch):
    job_id = create_english_job()
    now = after_outages(base.OUTAGE_RETRIES, job_id, [Unavailable("down for a day")], monkeypatch)
    assert (now["status"], now["message"]) == ("failed", "down for a day")


def after_outages(met: int, job_id: str, tries: list[Exception], monkeypatch) -> dict:
    """The job after a merge that met as many outages, and then meets each of *tries*."""
    store_chunk(job_id, 0, "a")
    store_chunk(job_id, 1, "b")
    store_shard(job_id)
    whole = type(storage()).put_bytes

    def put_bytes(self, key: str, data: bytes) -> None:
        if tries:
            raise tries.pop(0)
        whole(self, key, data)

    monkeypatch.setattr(type(storage()), "put_bytes", put_bytes)
    app.tasks["merge"].apply(args=(job_id,), retries=met, headers={base.OUTAGES_HEADER: met})
    return read_state(job_id)


class TestHousekeeping:
    """What beat asks for."""

    def test_it_sends_what_lost_its_worker(self, sent_messages, monkeypatch):
        monkeypatch.setattr(redis_epoch, "detect_memory_loss", lambda: False)
        never_sent, merging = accept_job(), create_english_job(chunks=1, shards=0)
        store_chunk(merging, 0, "a")
        begin_merge(merging)
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now + 1000)
        run_step("housekeeping")
        assert sorted(sent_messages) == sorted([("start_job", never_sent), ("send_merge", merging)])

    def test_it_leaves_alone_what_may_be_waiting_in_a_queue(self, sent_messages, monkeypatch):
        monkeypatch.setattr(redis_epoch, "detect_memory_loss", lambda: False)
        monkeypatch.setattr(
            queue_lengths, "count_messages", lambda queues: dict.fromkeys(queues, 7)
        )
        accept_job()
        send_parts(create_english_job())
        now = clock.now()
        monkeypatch.setattr(clock, "now", lambda: now + 1000)
        run_step("housekeeping")
        assert sent_messages == []

    def test_it_sends_everything_when_the_broker_lost_its_memory(self, sent_messages, monkeypatch):
        monkeypatch.setattr(redis_epoch, "detect_memory_loss", lambda: True)
        monkeypatch.setattr(
            queue_lengths, "count_messages", lambda queues: dict.fromkeys(queues, 7)
        )
        queued, hearing = accept_job(), create_english_job()
        run_step("housekeeping")
        assert sorted(sent_messages) == sorted([("start_job", queued), ("fan_out", hearing)])

    def test_every_need_has_somebody_to_send_it(self):
        assert set(housekeeping._DISPATCH) == set(Need)

    def test_it_removes_the_sound_of_old_jobs_and_keeps_their_words(self, monkeypatch):
        job_id = create_english_job(chunks=1, shards=0)
        for key in (
            layout.source(job_id),
            layout.chunk_audio(job_id, 0),
            layout.shard_audio(job_id, 0),
            layout.artefact(job_id, "transcription.srt"),
        ):
            storage().put_bytes(key, b"x")
        store_chunk(job_id, 0, "a")
        begin_merge(job_id)
        complete_job(job_id)
        run_step("clean_up")
        assert storage().list_keys(layout.source(job_id)), "its time is not over"

        later = clock.utc_now() + timedelta(hours=settings().retention_hours, minutes=1)
        monkeypatch.setattr(clock, "utc_now", lambda: later)
        run_step("clean_up")
        assert storage().list_keys(layout.job_prefix(job_id)) == [
            layout.chunk_transcription(job_id, 0),
            layout.artefact(job_id, "transcription.srt"),
        ]
        with read_session() as session:
            assert lifecycle.get_job(session, job_id).transcript.audio_key is None
            assert session.get(JobPart, (job_id, "chunk", 0)) is not None


def test_a_job_whose_channels_are_speakers_is_told_apart_by_channel(tmp_path):
    """From the recording to the transcript; only what an engine would hear is made up."""
    job_id = accept_job(channels=Channels.SEPARATE, diarizer=None)
    call = write_wav(tmp_path / "call.wav", babble(4), babble(4, seed=2))
    storage().put_file(layout.source(job_id), call)
    run_step("prepare", job_id)
    with read_session() as session:
        rows = [(part.kind, part.channel) for part in lifecycle.list_parts(session, job_id)]
    assert rows == [("chunk", 0), ("chunk", 1)]
    store_chunk(job_id, 0, "hello there")
    store_chunk(job_id, 1, "good morning")
    run_step("merge", job_id)
    with read_session() as session:
        segments = lifecycle.get_job(session, job_id).transcript.segments
        assert [(one.speaker_tag, one.text) for one in segments] == [
            (0, "hello there"),
            (1, "good morning"),
        ]
    turns = json.loads(storage().get_bytes(layout.artefact(job_id, "diarization_results.json")))
    assert turns["speakers"] == ["SPEAKER_00", "SPEAKER_01"]


def test_channels_that_are_alike_are_mixed_and_told_apart_by_the_diarizer(tmp_path, sent_messages):
    job_id = accept_job(
        channels=Channels.SEPARATE,
        diarizer=None,
        mix_diarizer="classic",
        source_url="https://example.org/call.wav?token=1",
    )
    with transaction() as session:  # as the step does that has fetched it
        job = lifecycle.get_job(session, job_id)
        job.engine_params = {**job.engine_params, "source_url": None}
    voice = babble(6)
    call = write_wav(tmp_path / "call.wav", voice, -0.5 * voice)
    storage().put_file(layout.source(job_id), call)
    run_step("prepare", job_id)
    with read_session() as session:
        rows = [(part.kind, part.channel) for part in lifecycle.list_parts(session, job_id)]
        spec = lifecycle.read_spec(lifecycle.get_job(session, job_id))
    assert rows == [("chunk", None), ("shard", None)]
    assert (spec.channels, spec.diarizer, spec.source_url) == (Channels.MIX, "classic", None)
    assert read_state(job_id)["warnings"][-1]["code"] == "channels_alike"
    store_chunk(job_id, 0, "hello there")
    store_shard(job_id, Turn(0, 6, 0))
    run_step("merge", job_id)
    assert read_segments(job_id) == [("hello there", 0)]


def test_what_one_channel_hears_of_the_other_is_told_once(tmp_path):
    job_id = accept_job(channels=Channels.SEPARATE, diarizer=None)
    left, right = np.zeros((2, 10 * 16_000), np.float32)
    left[: 4 * 16_000], right[5 * 16_000 : 9 * 16_000] = babble(4), babble(4, seed=2)
    hiss = np.random.default_rng(1).normal(0, 1e-4, (2, len(left)))
    call = write_wav(
        tmp_path / "call.wav", left + right / 20 + hiss[0], right + left / 20 + hiss[1]
    )
    storage().put_file(layout.source(job_id), call)
    run_step("prepare", job_id)

    question, answer = [("how", 1.0), ("are", 1.5), ("you", 2.0)], [("very", 6.0), ("well", 6.5)]
    for position in (0, 1):
        words = [Word(text, at, at + 0.4, 0.9) for text, at in [*question, *answer]]
        written = {"start": 0, "end": 10, "language": None, "words": words_to_json(words)}
        part = PartId(job_id, PartKind.CHUNK, position)
        store_result(part, layout.chunk_transcription(job_id, position), written)
    run_step("merge", job_id)
    with read_session() as session:
        transcript = lifecycle.get_job(session, job_id).transcript
        assert [(one.speaker_tag, one.text) for one in transcript.segments] == [
            (0, "how are you"),
            (1, "very well"),
        ]
    assert read_state(job_id)["warnings"] == []
