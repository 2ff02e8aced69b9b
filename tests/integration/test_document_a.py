"""The first document of the service, held to its word: its examples as written, and all its keys.

Where an answer has more keys than the document prints, they are listed here: these and no others.
"""

from __future__ import annotations

import json
import shlex
import shutil
import subprocess
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx2
import pytest
import redis

from bench import prepare
from tests.integration.conftest import SAMPLE, RunningStack, wait_until
from transcribe_api.client import Client

pytestmark = [
    pytest.mark.processes,
    pytest.mark.sphinx,
    pytest.mark.skipif(shutil.which("curl") is None, reason="curl is not installed"),
]

JOBS = "/api/transcribe/jobs"

GENERIC = """\
curl -X POST "http://localhost:8000/api/transcribe/jobs/transcribe" \\
  -F "file=@audio.mp3" \\
  -F "engine=asr" \\
  -F "language=en-US"
"""
WITH_SESSION = """\
curl -X POST "http://localhost:8000/api/transcribe/jobs/transcribe" \\
  -F "file=@audio.mp3" \\
  -F "session_id=550e8400-e29b-41d4-a716-446655440000" \\
  -F "engine=asr" \\
  -F "language=en-US"
"""
ASR = """\
curl -X POST "http://localhost:8000/api/transcribe/jobs/transcribe/asr" \\
  -F "file=@medical-consultation.mp3" \\
  -F "session_id=550e8400-e29b-41d4-a716-446655440000" \\
  -F "context_id=medical-context-uuid" \\
  -F "language=en-US"
"""
WHISPERX = """\
curl -X POST "http://localhost:8000/api/transcribe/jobs/transcribe/whisperx" \\
  -F "file=@podcast.mp3" \\
  -F "session_id=550e8400-e29b-41d4-a716-446655440000" \\
  -F "model=medium" \\
  -F "language=en" \\
  -F "enable_diarization=true" \\
  -F "min_speakers=2" \\
  -F "max_speakers=4"
"""

UUID, TEXT, NUMBER = "a UUID", "some text", "a number"

ACCEPTED = {"job_id": UUID, "transcript_id": UUID, "engine": TEXT, "status": TEXT, "message": TEXT}

STATUS = {"job_id": UUID, "status": TEXT, "progress": NUMBER, "transcript_id": UUID}
PROCESSING = {**STATUS, "worker_id": TEXT, "message": TEXT}
COMPLETED = {**STATUS, "result": {"segments_count": NUMBER, "duration": NUMBER}}
#: Of every status, beside what the document prints.
MORE_OF_STATUS = {
    "engine", "filename", "stage", "chunks_done", "chunks_total", "shards_done", "shards_total",
    "audio_seconds_done", "audio_seconds_total", "queue_position", "seconds_left", "warnings",
    "error", "created_at", "completed_at",
}  # fmt: skip

SEGMENT = {
    "start": NUMBER, "end": NUMBER, "text": TEXT, "speaker_tag": NUMBER, "confidence": NUMBER,
}  # fmt: skip
RESULT = {
    "job_id": UUID, "transcript_id": UUID, "status": TEXT, "filename": TEXT, "audio_url": TEXT,
    "language": TEXT, "duration": NUMBER, "segments": [SEGMENT], "speaker_roles": {},
}  # fmt: skip
MORE_OF_RESULT = {
    "speaker_role_scores", "speaker_names", "warnings", "created_at", "completed_at",
}  # fmt: skip

ENGINES = {
    "asr": {"engine": TEXT, "available": True, "uri": TEXT, "model": TEXT, "language": TEXT},
    "whisperx": {
        "engine": TEXT, "available": True, "url": TEXT, "available_models": [TEXT],
        "health": {"status": TEXT},
    },
}  # fmt: skip


def lacks(told: object, shape: object, more: frozenset[str] | set[str] = frozenset()) -> list[str]:
    """What differs from the printed answer, but for the keys that there may be more."""
    if isinstance(shape, dict):
        if not isinstance(told, dict):
            return [f"{told!r} is no object"]
        keys = [f"{key} is one too many" for key in told.keys() - shape.keys() - more]
        keys += [f"{key} is missing" for key in shape.keys() - told.keys()]
        shared = told.keys() & shape.keys()
        return keys + [f"{key}: {why}" for key in shared for why in lacks(told[key], shape[key])]
    if isinstance(shape, list):
        if not isinstance(told, list) or not told:
            return [f"{told!r} is no list of something"]
        return [why for one in told for why in lacks(one, shape[0])]
    return [] if _is(told, shape) else [f"{told!r} is not {shape}"]


def _is(told: object, shape: object) -> bool:
    if shape is UUID:
        return isinstance(told, str) and str(uuid.UUID(told)) == told
    if shape is NUMBER:
        return isinstance(told, int | float) and not isinstance(told, bool)
    return isinstance(told, type(shape))


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the examples are typed: the files that they name lie there."""
    folder = tmp_path_factory.mktemp("typed")
    prepare.make(folder / "audio.mp3", 1)
    for name in ("medical-consultation.mp3", "podcast.mp3"):
        shutil.copy(folder / "audio.mp3", folder / name)
    # So that the examples can stay as they are: no progress meter, and the status after the answer.
    (folder / ".curlrc").write_text('silent\nshow-error\nwrite-out = "\\n%{http_code}"\n')
    return folder


@pytest.fixture(scope="module")
def typed(stack: RunningStack, folder: Path):
    """Type an example; gives the HTTP status and the answer."""

    def type_in(example: str) -> tuple[int, dict]:
        command = example.replace("http://localhost:8000", stack.url)
        done = subprocess.run(
            ["sh", "-c", command],
            cwd=folder, env=stack.environment | {"CURL_HOME": str(folder), "HOME": str(folder)},
            capture_output=True, text=True, check=True,
        )  # fmt: skip
        answer, _, status = done.stdout.rpartition("\n")
        return int(status), json.loads(answer)

    return type_in


def get(path: str) -> str:
    return f'curl "http://localhost:8000{JOBS}{path}"'


@pytest.fixture(scope="module")
def job(stack: RunningStack, typed) -> str:
    """The first example with the engine that is there, held up before it listens."""
    for worker in stack.workers("asr.sphinx"):
        worker.suspend()
    status, told = typed(GENERIC.replace("engine=asr", "engine=sphinx"))
    assert (status, lacks(told, ACCEPTED)) == (202, [])
    assert told["message"] == "PocketSphinx transcription job enqueued successfully"
    return told["job_id"]


@pytest.mark.parametrize(
    ("example", "engine", "title"),
    [
        (GENERIC, "asr", "ASR"),
        (WITH_SESSION, "asr", "ASR"),
        (ASR, "asr", "ASR"),
        (WHISPERX, "whisperx", "WhisperX"),
    ],
    ids=["generic", "with a session", "asr", "whisperx"],
)
def test_a_recording_is_taken_although_no_worker_is_there_yet(stack, typed, example, engine, title):
    if "medical-context-uuid" in example:  # the document's own is no UUID
        url = f"{stack.url}/api/transcribe/contexts"
        terms = [{"phrase": "metformin", "boost": 20.0}]
        made = httpx2.post(url, json={"name": "Medicine", "terms": terms})
        example = example.replace("medical-context-uuid", made.json()["context_id"])
    status, told = typed(example)
    assert (status, lacks(told, ACCEPTED, {"warnings"})) == (202, [])
    assert (told["engine"], told["status"]) == (engine, "queued")
    assert told["message"] == f"{title} transcription job enqueued successfully"
    assert f"asr.{engine}" in " ".join(one["sentence"] for one in told["warnings"])
    httpx2.delete(f"{stack.url}{JOBS}/{told['job_id']}")  # nobody will come for it


@pytest.fixture(scope="module")
def done(stack: RunningStack, job: str) -> str:
    """The same, over."""
    for worker in stack.workers("asr.sphinx"):
        worker.resume()
    with Client(stack.url) as client:
        wait_until(lambda: client.status(job)["status"] == "completed")
    return job


def test_the_status_while_it_is_worked_on(typed, client: Client, job: str):
    wait_until(lambda: client.status(job)["stage"] == "listen")
    status, told = typed(get(f"/status/{job}"))
    assert status == 200
    assert lacks(told, PROCESSING, MORE_OF_STATUS) == []
    assert (told["job_id"], told["status"]) == (job, "processing")
    assert told["message"] == "Transcribing with PocketSphinx"
    assert 0 < told["progress"] < 100


def test_the_stream_is_what_the_page_of_the_document_reads(stack, job: str, request):
    words = ["curl", "-sSN", f"{stack.url}{JOBS}/stream/{job}"]
    with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as curl:
        request.getfixturevalue("done")
        stream, _ = curl.communicate()
    events = [block.splitlines() for block in stream.split("\n\n")]
    states = [
        json.loads(line.removeprefix("data: "))
        for lines in events
        for line in lines
        if line.startswith("data: ") and "event: segment" not in lines
    ]
    assert states[-1]["status"] == "completed"
    for state in states[:-1]:
        assert lacks(state, PROCESSING, MORE_OF_STATUS) == []
    assert lacks(states[-1], COMPLETED, MORE_OF_STATUS | {"worker_id", "message"}) == []


def test_the_status_when_it_is_done(typed, done: str):
    status, told = typed(get(f"/status/{done}"))
    assert status == 200
    assert lacks(told, COMPLETED, MORE_OF_STATUS | {"worker_id", "message"}) == []
    assert (told["status"], told["progress"]) == ("completed", 100)
    assert told["result"]["segments_count"] > 0


def test_the_result(typed, done: str):
    status, told = typed(get(f"/result/{done}"))
    assert status == 200
    # The document prints no words; that there are some is ours.
    words = [segment.pop("words") for segment in told["segments"]]
    assert all(words)
    roles = told["speaker_roles"]
    assert lacks({**told, "speaker_roles": {}}, RESULT, MORE_OF_RESULT) == []
    assert all(tag.isdigit() and isinstance(role, str) for tag, role in roles.items())
    assert (told["filename"], told["status"], told["language"]) == (
        "audio.mp3", "completed", "en-US",
    )  # fmt: skip
    assert httpx2.get(told["audio_url"]).status_code == 200


def test_the_engines(typed):
    status, told = typed(get("/engines"))
    assert status == 200
    assert told.keys() == {"engines", "default_engine"}
    assert told["engines"].keys() == ENGINES.keys() | {"sphinx", "whisper"}
    # No service of WhisperX is configured, so there is no address to print.
    assert told["engines"]["whisperx"].pop("url") is None
    told["engines"]["whisperx"]["url"] = ""
    for name, shape in ENGINES.items():
        assert lacks(told["engines"][name], shape) == []
        assert told["engines"][name]["available"] is False
    assert told["engines"]["asr"]["model"] == "parakeet-0-6b-ctc-en-us"
    assert told["engines"]["whisperx"]["available_models"] == [
        "tiny", "base", "small", "medium", "large-v2", "large-v3",
    ]  # fmt: skip


def test_redis_shows_what_the_document_looks_for(stack: RunningStack, done: str):
    assert f"job:{done}:status" in asked(stack, 'redis-cli KEYS "job:*"')
    [told] = asked(stack, f'redis-cli GET "job:{done}:status"')
    assert lacks(json.loads(told), COMPLETED, MORE_OF_STATUS | {"worker_id", "message"}) == []
    [seconds] = asked(stack, f'redis-cli TTL "job:{done}:status"')
    assert 0 < int(seconds) <= 3600


def test_redis_tells_of_every_job(stack: RunningStack, client: Client):
    with listening(stack, 'redis-cli PSUBSCRIBE "transcription:status:*"') as lines:
        job_id = client.submit(SAMPLE, diarizer="none")["job_id"]
        channel = f"transcription:status:{job_id}"
        while next(lines) != channel:
            pass
        told = json.loads(next(lines))
    assert (told["job_id"], told["status"]) == (job_id, "queued")
    client.delete(job_id)


def asked(stack: RunningStack, example: str) -> list[str]:
    """The lines that an example prints; without redis-cli, the same by the same words."""
    program, *words = shlex.split(example)
    if shutil.which(program):
        done = subprocess.run(
            [program, "-s", socket(stack), *words], capture_output=True, text=True, check=True
        )
        return done.stdout.splitlines()
    with redis.Redis(unix_socket_path=socket(stack), decode_responses=True) as server:
        told = server.execute_command(*words)
    return [str(one) for one in (told if isinstance(told, list) else [told])]


@contextmanager
def listening(stack: RunningStack, example: str) -> Iterator[Iterator[str]]:
    """The lines that an example goes on printing, from when it listens."""
    program, command, pattern = shlex.split(example)
    if shutil.which(program):
        words = [program, "-s", socket(stack), command, pattern]
        with subprocess.Popen(words, stdout=subprocess.PIPE, text=True) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "psubscribe\n"
            yield (line.rstrip("\n") for line in process.stdout)
            process.terminate()
        return
    with (
        redis.Redis(unix_socket_path=socket(stack), decode_responses=True) as server,
        server.pubsub() as channel,
    ):
        channel.psubscribe(pattern)
        yield (str(message[part]) for message in channel.listen() for part in ("channel", "data"))


def socket(stack: RunningStack) -> str:
    return str(stack.data_dir / "redis.sock")
