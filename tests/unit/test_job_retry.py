"""One stage of a job that is over is done again, and the others are kept."""

from __future__ import annotations

import pytest

from core.db.transactions import read_session, transaction
from core.errors import Conflict, EngineError, InvalidInput
from core.jobs import lifecycle, retry
from core.jobs.spec import DiarizationOptions
from core.states import PartKind, Redo, Stage
from core.storage import layout, storage
from tests.factories.jobs import accept_job, begin_preparation, read_state
from tests.factories.steps import (
    create_english_job,
    fail_part,
    read_segments,
    run_step,
    store_chunk,
    store_shard,
)
from transcribe_api.http.requests import parsing
from transcripts.types import Turn

pytestmark = pytest.mark.usefixtures("database", "sent_messages")


def merged(*turns: Turn) -> str:
    """A job whose transcript was put together; without turns its diarization failed."""
    job_id = create_english_job()
    store_chunk(job_id, 0, "good morning")
    store_chunk(job_id, 1, "hello there")
    if turns:
        store_shard(job_id, *turns)
    else:
        fail_part(job_id, PartKind.SHARD, 0, "too many voices")
    run_step("merge", job_id)
    assert read_state(job_id)["status"] == "completed"
    return job_id


def redo(job_id: str, stage: Redo, **wishes) -> None:
    with transaction() as session:
        retry.redo_stage(session, job_id, stage, DiarizationOptions(**wishes))


def states(job_id: str) -> list[tuple[str, int, str, int]]:
    with read_session() as session:
        rows = lifecycle.list_parts(session, job_id)
        return [(row.kind, row.position, row.state, row.attempts) for row in rows]


def name_speakers(job_id: str) -> None:
    with transaction() as session:
        lifecycle.get_job(session, job_id).transcript.speaker_names = {"0": "Ana"}


def names(job_id: str) -> dict[str, str]:
    with read_session() as session:
        return lifecycle.get_job(session, job_id).transcript.speaker_names


def test_speakers_that_were_not_found_are_looked_for_again_and_no_word_is_heard_anew():
    job_id = merged()
    assert read_state(job_id)["warnings"][0]["code"] == "speakers_failed"
    chunks = [one for one in states(job_id) if one[0] == "chunk"]
    redo(job_id, Redo.DIARIZE)
    assert states(job_id) == [*chunks, ("shard", 0, "waiting", 0)]
    assert (read_state(job_id)["stage"], read_state(job_id)["warnings"]) == (Stage.LISTEN, [])
    store_shard(job_id, Turn(0, 10, 0), Turn(30, 40, 1))
    run_step("merge", job_id)
    assert read_segments(job_id) == [("good morning", 0), ("hello there", 1)]
    assert read_state(job_id)["warnings"] == []


def test_new_wishes_for_the_speakers_take_the_place_of_the_old():
    job_id = merged(Turn(0, 40, 0))
    name_speakers(job_id)
    redo(job_id, Redo.DIARIZE, max_speakers=3, diarizer="pyannote", shard_seconds=1500)
    with read_session() as session:
        spec = lifecycle.read_spec(lifecycle.get_job(session, job_id))
    assert (spec.min_speakers, spec.max_speakers, spec.diarizer) == (None, 3, "pyannote")


def test_a_recording_that_is_cut_for_one_diarizer_is_not_given_to_one_that_wants_it_otherwise():
    job_id = merged(Turn(0, 40, 0))
    with pytest.raises(Conflict, match="was not cut for that diarizer"):
        redo(job_id, Redo.DIARIZE, diarizer="other", shard_seconds=20)


def test_all_chunks_are_heard_again_and_the_speakers_stay():
    job_id = merged(Turn(0, 10, 0), Turn(30, 40, 1))
    name_speakers(job_id)
    redo(job_id, Redo.TRANSCRIBE)
    assert [one[2:] for one in states(job_id)] == [("waiting", 0), ("waiting", 0), ("stored", 0)]
    store_chunk(job_id, 0, "better words")
    store_chunk(job_id, 1, "and more")
    run_step("merge", job_id)
    assert read_segments(job_id) == [("better words", 0), ("and more", 1)]
    assert names(job_id) == {"0": "Ana"}


def test_a_transcript_is_put_together_anew_from_what_is_stored():
    job_id = merged(Turn(0, 40, 0))
    name_speakers(job_id)
    with transaction() as session:  # only the sound is removed when its time is over
        lifecycle.get_job(session, job_id).transcript.audio_key = None
    before = read_segments(job_id)
    storage().delete(layout.artefact(job_id, "transcription.srt"))
    redo(job_id, Redo.MERGE)
    run_step("merge", job_id)
    assert read_segments(job_id) == before
    assert storage().get_bytes(layout.artefact(job_id, "transcription.srt"))
    assert names(job_id) == {"0": "Ana"}


@pytest.mark.parametrize("stage", Redo)
def test_a_job_that_goes_on_is_left_alone(stage: Redo):
    with pytest.raises(Conflict, match="it has not ended"):
        redo(create_english_job(), stage)


@pytest.mark.parametrize("stage", Redo)
def test_a_job_that_was_never_cut_has_no_stages(stage: Redo):
    job_id = accept_job()
    begin_preparation(job_id)
    with transaction() as session:
        lifecycle.fail_job(session, job_id, EngineError("hiccup"))
    with pytest.raises(Conflict, match="was not cut yet"):
        redo(job_id, stage)


@pytest.mark.parametrize("stage", [Redo.DIARIZE, Redo.MERGE])
def test_what_was_cancelled_half_way_has_to_be_heard_to_the_end_first(stage: Redo):
    job_id = create_english_job()
    store_chunk(job_id, 0, "half")
    store_shard(job_id)
    with transaction() as session:
        lifecycle.cancel_job(session, job_id)
    with pytest.raises(Conflict, match="1 of its other parts are unfinished"):
        redo(job_id, stage)
    redo(job_id, Redo.TRANSCRIBE)


def test_a_job_without_speakers_has_no_shards_to_go_through_again():
    job_id = create_english_job(chunks=1, shards=0)
    store_chunk(job_id, 0, "alone")
    run_step("merge", job_id)
    with pytest.raises(Conflict, match="it has no shards"):
        redo(job_id, Redo.DIARIZE)


@pytest.mark.parametrize("stage", [Redo.DIARIZE, Redo.TRANSCRIBE])
def test_what_was_removed_cannot_be_heard_again(stage: Redo):
    job_id = merged(Turn(0, 40, 0))
    with transaction() as session:
        lifecycle.get_job(session, job_id).transcript.audio_key = None
    with pytest.raises(Conflict, match="recording was removed"):
        redo(job_id, stage)


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ({"stage": "listen"}, "stage: 'listen' is unknown; allowed: transcribe, diarize, merge"),
        ({"max_speakers": "2"}, "max_speakers: only for stage=diarize"),
        ({"stage": "merge", "diarizer": "classic"}, "diarizer: only for stage=diarize"),
        ({"stage": "diarize", "diarizer": "none"}, "allowed: auto, classic"),
        ({"stage": "diarize", "min_speakers": "3", "max_speakers": "2"}, "3 is more than"),
    ],
)
def test_a_wrong_wish_is_named_with_what_is_allowed(query: dict[str, str], complaint: str):
    with pytest.raises(InvalidInput, match=complaint) as refused:
        parsing.parse_retry(query)
    assert refused.value.field is not None
