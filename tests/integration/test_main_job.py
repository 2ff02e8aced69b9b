"""The main job, end to end: REST, storage, rows, prepare, chord, merge, artefacts."""

from __future__ import annotations

import csv
import io
import itertools
import json
import re
import socket
import subprocess
from pathlib import Path

import httpx2
import jiwer
import pysubs2
import pytest
import simpleder

from engines.models import local_models
from tests.integration.conftest import SAMPLE, TRANSCRIBE, RunningStack
from transcribe_api.client import Client, Event

pytestmark = [pytest.mark.processes, pytest.mark.lengthy]

TREE = {
    "chunks/chunks_metadata.json",
    "whisper_results.json",
    "diarization_results.json",
    "final_transcription.json",
    "transcription.srt",
    "transcription.vtt",
    "transcription.txt",
    "waveform.json",
}


@pytest.fixture(scope="module")
def job(stack: RunningStack) -> tuple[str, list[Event]]:
    """The sample conversation, transcribed, and all that was heard of it on the way."""
    with Client(stack.url) as client:
        job_id = client.submit(SAMPLE)["job_id"]
        return job_id, list(client.events(job_id))


def word_error_rate(text: str) -> float:
    spoken = " ".join(SAMPLE.with_suffix(".txt").read_text().split())
    return float(jiwer.wer(spoken, text.lower()))


def remove_labels(text: str) -> str:
    """The text without the names of the speakers before it."""
    return " ".join(re.sub(r"\[?SPEAKER_\d+\]?:?", " ", text).split())


def read_turns(rttm: str) -> list[tuple[str, float, float]]:
    """Speaker, start and end (seconds) of each line."""
    fields = [line.split() for line in rttm.splitlines() if line.startswith("SPEAKER")]
    return [(line[7], float(line[3]), float(line[3]) + float(line[4])) for line in fields]


@pytest.mark.sphinx
def test_a_submission_is_answered_as_documented(stack: RunningStack, client: Client):
    with SAMPLE.open("rb") as file:
        answer = httpx2.post(
            f"{stack.url}/api/transcribe/jobs/transcribe",
            files={"file": ("visit.flac", file)},
            data={"language": "en-US", "engine": "sphinx"},
            timeout=60,  # workers may still be starting beside it
        )
    told = answer.json()
    assert answer.status_code == 202
    assert answer.headers["Location"] == f"/api/transcribe/jobs/status/{told['job_id']}"
    assert set(told) == {"job_id", "transcript_id", "engine", "status", "message"}
    assert (told["engine"], told["status"]) == ("sphinx", "queued")
    assert told["message"] == "PocketSphinx transcription job enqueued successfully"
    client.delete(told["job_id"])  # what comes of it, other tests tell


def test_listeners_hear_the_state_first_and_the_words_before_the_end(job):
    _, events = job
    states = [event.data for event in events if event.name == "status"]
    assert events[0].name == "status"
    assert states[-1]["status"] == "completed"
    assert [state["progress"] for state in states] == sorted(state["progress"] for state in states)
    assert all(state["progress"] < 100 for state in states[:-1])

    segments = [event.data for event in events if event.name == "segment"]
    assert {segment["chunk"] for segment in segments} == set(range(states[-1]["chunks_total"]))
    assert states[-1]["chunks_total"] > 1, "the sample must be long enough to be cut"
    ordered = sorted({one["chunk"]: one for one in segments}.items())
    assert word_error_rate(" ".join(one["text"] for _, one in ordered)) <= 0.25


def test_a_late_listener_misses_nothing(job, client: Client):
    job_id, heard = job
    events = list(client.events(job_id))
    assert events[0].data["status"] == "completed"

    def list_segments(events: list[Event]) -> list[dict]:
        segments = [event.data for event in events if event.name == "segment"]
        return sorted(segments, key=lambda segment: segment["chunk"])

    assert list_segments(events) == list_segments(heard)


def test_the_result_is_the_document_that_clients_know(job, client: Client):
    job_id, _ = job
    result = client.result(job_id)
    assert {
        "job_id", "transcript_id", "status", "filename", "audio_url", "language", "duration",
        "segments", "speaker_roles",
    } <= set(result)  # fmt: skip
    assert (result["status"], result["filename"]) == ("completed", "conversation.flac")
    assert result["language"] == "en-US"
    assert word_error_rate(" ".join(one["text"] for one in result["segments"])) <= 0.25
    assert {one["speaker_tag"] for one in result["segments"]} == {0, 1}
    for segment in result["segments"]:
        assert set(segment) == {"start", "end", "text", "speaker_tag", "confidence", "words"}
        assert 0 <= segment["start"] <= segment["end"] <= result["duration"] + 0.01
        assert segment["text"] == " ".join(word["word"] for word in segment["words"])


def test_the_status_tells_what_came_out(job, client: Client):
    job_id, _ = job
    told = client.status(job_id)
    result = client.result(job_id)
    assert told["progress"] == 100
    assert told["result"] == {
        "segments_count": len(result["segments"]),
        "duration": result["duration"],
    }


def test_the_recording_can_be_fetched_by_its_link(job, client: Client):
    job_id, _ = job
    link = client.result(job_id)["audio_url"]
    whole = httpx2.get(link)
    assert whole.content == SAMPLE.read_bytes()
    assert whole.headers["Content-Type"] == "audio/flac"
    part = httpx2.get(link, headers={"Range": "bytes=1000-1999"})
    assert (part.status_code, part.content) == (206, SAMPLE.read_bytes()[1000:2000])
    assert httpx2.get(link + "x").status_code == 404


@pytest.mark.parametrize("form", ["srt", "vtt"])
def test_subtitles_are_read_by_others(job, client: Client, form: str):
    job_id, _ = job
    cues = pysubs2.SSAFile.from_string(client.formatted(job_id, form), form)
    assert len(cues) > 5
    assert all(first.end <= second.start for first, second in itertools.pairwise(cues))
    assert word_error_rate(remove_labels(" ".join(cue.plaintext for cue in cues))) <= 0.25


def test_a_text_has_the_words(job, client: Client):
    job_id, _ = job
    assert word_error_rate(remove_labels(client.formatted(job_id, "txt"))) <= 0.25


def test_a_table_has_the_words_and_their_times(job, client: Client):
    job_id, _ = job
    rows = list(csv.DictReader(io.StringIO(client.formatted(job_id, "tsv")), delimiter="\t"))
    assert word_error_rate(" ".join(row["text"] for row in rows)) <= 0.25
    segments = client.result(job_id)["segments"]
    assert [float(row["start"]) for row in rows] == [segment["start"] for segment in segments]


def test_json_has_every_segment(job, client: Client):
    job_id, _ = job
    document = json.loads(client.formatted(job_id, "json"))
    texts = [segment["text"] for segment in client.result(job_id)["segments"]]
    assert [segment["text"] for segment in document["segments"]] == texts


def test_rttm_says_who_speaks_when(job, client: Client):
    job_id, _ = job
    reference = read_turns(SAMPLE.with_suffix(".rttm").read_text())
    assert simpleder.DER(reference, read_turns(client.formatted(job_id, "rttm"))) <= 0.25


def test_the_command_line_writes_the_whole_tree(stack: RunningStack, tmp_path: Path):
    done = subprocess.run(
        [TRANSCRIBE, SAMPLE, "-o", tmp_path / "out"],
        env=stack.environment | {"TRANSCRIBE_URL": stack.url},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    out = tmp_path / "out"
    files = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    metadata = json.loads((out / "chunks/chunks_metadata.json").read_text())
    chunks = {f"chunks/{chunk['file']}" for chunk in metadata["chunks"]}
    assert files == TREE | chunks

    final = json.loads((out / "final_transcription.json").read_text())
    assert final["speakers"] == ["SPEAKER_00", "SPEAKER_01"]
    assert set(final["segments"][0]) == {
        "speaker_id", "start_time", "end_time", "text", "confidence",
    }  # fmt: skip
    assert word_error_rate(" ".join(one["text"] for one in final["segments"])) <= 0.25


@pytest.mark.sphinx
def test_a_worker_started_by_hand_joins_in(stack: RunningStack, client: Client, beginning: Path):
    """`celery -A tasks worker -Q asr.sphinx` beside a running stack takes chunks."""
    root = SAMPLE.parents[1]
    celery = [TRANSCRIBE.with_name("celery"), "-A", "tasks"]
    with (stack.data_dir / "by-hand.log").open("w") as log:
        worker = subprocess.Popen(
            [*celery, "worker", "-Q", "asr.sphinx", "-c", "1", "-n", "by-hand@%h", "-l", "INFO"],
            env=stack.environment, cwd=root, stdout=log, stderr=subprocess.STDOUT,
        )  # fmt: skip
        try:
            for main in stack.workers("asr.sphinx"):
                main.suspend()
            job_id = client.submit(beginning)["job_id"]
            for event in client.events(job_id):
                if event.name == "status" and event.data["chunks_done"]:
                    break
            queues = subprocess.run(
                [*celery, "inspect", "active_queues", "-d", f"by-hand@{socket.gethostname()}"],
                env=stack.environment, cwd=root, capture_output=True, text=True, check=False,
            )  # fmt: skip
            assert "asr.sphinx" in queues.stdout
        finally:
            for main in stack.workers("asr.sphinx"):
                main.resume()
            worker.terminate()
            worker.wait(60)
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"


@pytest.mark.sphinx
def test_engines_that_nobody_serves_are_said_to_be_unavailable(client: Client, stack: RunningStack):
    told = httpx2.get(f"{stack.url}/api/transcribe/jobs/engines").json()
    assert told["default_engine"] == "sphinx"
    available = {name: one["available"] for name, one in told["engines"].items()}
    # With its model, which set-up fetches where it can; without, a hub that answers will do.
    assert available.pop("whisper") or not local_models.find_whisper_model("base").is_whole
    assert available == {"sphinx": True, "asr": False, "whisperx": False}
    assert {"engine", "available", "uri", "model", "language"} <= set(told["engines"]["asr"])
    assert {"url", "available_models", "health"} <= set(told["engines"]["whisperx"])


def test_a_job_for_an_engine_that_nobody_serves_waits_and_says_so(client: Client):
    told = client.submit(SAMPLE, engine="whisperx", diarizer="none")
    assert told["status"] == "queued"
    assert "asr.whisperx" in told["warnings"][0]["sentence"]
