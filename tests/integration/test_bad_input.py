"""Bad input is answered with a clear error, and nothing is lost or left behind."""

from __future__ import annotations

import json
import re
import select
import socket
import unicodedata
from collections.abc import Iterator
from itertools import chain, repeat
from pathlib import Path

import av
import httpx2
import pytest

from tests.factories.recordings import build_silence
from tests.integration.conftest import SAMPLE, RunningStack, another_api, wait_until
from transcribe_api.client import Client

pytestmark = pytest.mark.processes

BASE = "/api/transcribe/jobs"
HOSTILE = Path(__file__).resolve().parents[3] / "shared" / "audio" / "hostile"
#: Every object of a job, and what is being written or looked for.
OBJECT = re.compile(
    r"jobs/[0-9a-f-]{36}/(source|(chunks|shards|parts)/[a-z0-9_]+\.(wav|json)|[a-z_]+\.[a-z]+)"
    r"|\.unfinished/[0-9a-f]+|\.ping"
)
#: Bytes of an upload that is far too large.
OFFERED = 500_000_000
NOBODY = "00000000-0000-0000-0000-000000000000"


def problem(answer: httpx2.Response, status: int) -> dict:
    assert answer.status_code == status, answer.text
    assert answer.headers["Content-Type"] == "application/problem+json"
    told = answer.json()
    assert {"type", "title", "status", "code", "detail"} <= set(told)
    assert "Traceback" not in answer.text
    return told


def left_over(stack: RunningStack) -> list[Path]:
    """Files of uploads that are still there."""
    return list((stack.data_dir / "scratch").glob("upload-*"))


@pytest.mark.parametrize(
    ("field", "value", "says"),
    [
        ("engine", "parrot", "sphinx"),
        ("engine", "asr;DROP TABLE", "sphinx"),
        ("language", "!!", "en-US"),
        ("language", "xx", "not a language tag"),
        ("language", "pt-BR", "en"),
        ("model", "huge", "allowed"),
        ("diarizer", "parrot", "classic"),
        ("session_id", "1", "UUID"),
        ("context_id", "x", "UUID"),
        ("priority", "urgent", "high, normal, low"),
        ("min_speakers", "0", "from 1"),
        ("max_speakers", "many", "from 1"),
        ("enable_diarization", "perhaps", "true"),
    ],
)
def test_a_wrong_field_is_named_with_what_is_allowed(stack: RunningStack, field, value, says):
    answer = httpx2.post(
        f"{stack.url}{BASE}/transcribe",
        files={"file": ("a.flac", SAMPLE.read_bytes())},
        data={field: value},
    )
    told = problem(answer, 422)
    assert told["field"] == field
    assert says in told["detail"]
    assert left_over(stack) == []


def test_fewer_speakers_than_the_fewest(stack: RunningStack):
    answer = httpx2.post(
        f"{stack.url}{BASE}/transcribe",
        files={"file": ("a.flac", SAMPLE.read_bytes())},
        data={"min_speakers": "3", "max_speakers": "2"},
    )
    assert problem(answer, 422)["field"] == "min_speakers"


def test_a_form_without_a_file(stack: RunningStack):
    told = problem(httpx2.post(f"{stack.url}{BASE}/transcribe", data={"engine": "sphinx"}), 422)
    assert (told["field"], told["code"]) == ("file", "file_missing")


@pytest.mark.parametrize(
    ("content", "code"),
    [
        (b"", "empty_file"),
        (b"This is a letter, not a recording.\n" * 50, "media_unreadable"),
        (SAMPLE.read_bytes()[:30], "media_unreadable"),
    ],
    ids=["empty", "text", "truncated beyond repair"],
)
def test_what_is_no_recording_is_refused_at_once(stack: RunningStack, content: bytes, code: str):
    answer = httpx2.post(f"{stack.url}{BASE}/transcribe", files={"file": ("a.mp3", content)})
    told = problem(answer, 422)
    assert told["code"] == code
    assert left_over(stack) == []


def test_a_film_without_sound_is_refused_at_once(stack: RunningStack, tmp_path: Path):
    path = tmp_path / "silent.mp4"
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mpeg4", rate=25)
        stream.width = stream.height = 64
        for _ in range(10):
            target.mux(stream.encode(av.VideoFrame(64, 64, "yuv420p")))
        target.mux(stream.encode(None))
    answer = httpx2.post(
        f"{stack.url}{BASE}/transcribe", files={"file": ("a.mp3", path.read_bytes())}
    )
    assert problem(answer, 422)["code"] == "no_audio_stream"
    assert left_over(stack) == []


@pytest.mark.parametrize(
    "content",
    [
        b"#EXTM3U\n#EXTINF:10,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n",
        b"ffconcat version 1.0\nfile /etc/hostname\n",
        b";FFMETADATA1\ntitle=x\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nm=audio 18998 RTP/AVP 0\n",
    ],
    ids=["m3u8", "concat", "ffmetadata", "sdp"],
)
@pytest.mark.parametrize("name", ["a.mp3", "a.m3u8"])
def test_playlists_are_refused_at_once(stack: RunningStack, content: bytes, name: str):
    answer = httpx2.post(f"{stack.url}{BASE}/transcribe", files={"file": (name, content)})
    assert problem(answer, 422)["code"] == "playlist_refused"
    assert "/etc" not in answer.text
    assert left_over(stack) == []


@pytest.fixture(scope="module")
def small(stack: RunningStack) -> Iterator[str]:
    """The address of a service that takes little."""
    with another_api(stack, MAX_FILE_SIZE="1000000") as url:
        yield url


@pytest.mark.parametrize("length", [f"Content-Length: {OFFERED}", "Transfer-Encoding: chunked"])
def test_an_upload_that_is_too_large_is_stopped_early(stack: RunningStack, small: str, length: str):
    before = sources(stack)
    sent, answer = send_until_answered(small, length)
    assert answer.startswith("HTTP/1.1 413 ")
    assert json.loads(answer.partition("\r\n\r\n")[2])["code"] == "file_too_large"
    assert sent < OFFERED / 2
    wait_until(lambda: left_over(stack) == [])
    assert sources(stack) == before


def sources(stack: RunningStack) -> list[Path]:
    return sorted((stack.data_dir / "objects").rglob("source"))


def send_until_answered(url: str, length: str) -> tuple[int, str]:
    """Offer a large file; gives the bytes that were sent before there was an answer, and that."""
    address = httpx2.URL(url)
    form = b'--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    head = (
        f"POST {BASE}/transcribe HTTP/1.1\r\nHost: {address.host}\r\n{length}\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
    )
    sent = 0
    with socket.create_connection((address.host, address.port), timeout=60) as connection:
        connection.sendall(head.encode())
        for block in chain([form], repeat(b"x" * 65_536)):
            if sent >= OFFERED or select.select([connection], [], [], 0)[0]:
                break
            framed = b"%x\r\n%s\r\n" % (len(block), block) if "chunked" in length else block
            try:
                connection.sendall(framed)
            except (BrokenPipeError, ConnectionResetError):
                break
            sent += len(block)
        answer = b""
        while b"}" not in answer:
            answer += connection.recv(65_536)
    return sent, answer.decode()


def test_silence_is_a_transcript_without_segments(client: Client, tmp_path: Path):
    path = tmp_path / "silence.wav"
    path.write_bytes(build_silence(seconds=3))
    job_id = client.submit(path)["job_id"]
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    result = client.result(job_id)
    assert (result["segments"], result["duration"]) == ([], pytest.approx(3.0))
    assert [one["code"] for one in result["warnings"]] == ["nothing_heard"]
    assert client.formatted(job_id, "vtt").startswith("WEBVTT")


def test_a_recording_that_breaks_off_is_transcribed_as_far_as_it_goes(client, tmp_path: Path):
    path = tmp_path / "cut.wav"
    path.write_bytes(build_silence(seconds=10)[: 16_000 * 2 * 4])
    job_id = client.submit(path)["job_id"]
    *_, last = client.events(job_id)
    assert last.data["status"] == "completed"
    warning, _ = last.data["warnings"]
    assert (warning["code"], warning["retryable"]) == ("recording_breaks_off", False)
    assert client.result(job_id)["duration"] == pytest.approx(4.0, abs=0.01)


def odd_names() -> list[str]:
    """File names that have hurt others, and those of the project's collection, where it is."""
    ours = ["../../evil.wav", 'a"b\r\nX: y.wav', "<b>.wav", "…🎤.wav", "-i", "%2e%2e%2fx.wav"]
    lists = [HOSTILE / "odd_file_names.json", HOSTILE / "upload_names.json"]
    theirs = [json.loads(path.read_text()) for path in lists if path.is_file()]
    return [*ours, *(_name(entry) for entries in theirs for entry in entries)]


def _name(entry: str | dict[str, str]) -> str:
    return entry if isinstance(entry, str) else entry["name"]


def test_a_file_name_is_shown_safely_and_never_used(stack: RunningStack, client: Client):
    for name in odd_names():
        answer = httpx2.post(
            f"{stack.url}{BASE}/transcribe",
            files={"file": (name, build_silence(seconds=1))},
            data={"diarizer": "none"},
        )
        if answer.status_code != 202:
            problem(answer, 422)
            continue
        told = client.status(answer.json()["job_id"])["filename"]
        assert not any(unicodedata.category(char)[0] == "C" for char in told), name
        assert "/" not in told, name
    objects = stack.data_dir / "objects"
    files = [path.relative_to(objects).as_posix() for path in objects.rglob("*") if path.is_file()]
    assert [name for name in files if not OBJECT.fullmatch(name)] == []


@pytest.mark.parametrize("path", ["status", "stream", "result", "artefacts"])
def test_unknown_jobs(stack: RunningStack, path: str):
    assert problem(httpx2.get(f"{stack.url}{BASE}/{path}/{NOBODY}"), 404)["code"] == "not_found"
    assert problem(httpx2.get(f"{stack.url}{BASE}/{path}/x"), 422)["field"] == "job_id"


def test_unknown_formats_name_the_known_ones(stack: RunningStack):
    told = problem(httpx2.get(f"{stack.url}{BASE}/result/{NOBODY}/pdf"), 422)
    assert told["field"] == "format"
    assert "srt" in told["detail"]


def test_unknown_paths_and_methods_are_problems_too(stack: RunningStack):
    problem(httpx2.get(f"{stack.url}/nowhere"), 404)
    problem(httpx2.put(f"{stack.url}{BASE}/transcribe"), 405)


def test_an_unfinished_job_has_no_result_yet(client: Client, stack: RunningStack):
    job_id = client.submit(SAMPLE, engine="whisperx", diarizer="none")["job_id"]
    told = problem(httpx2.get(f"{stack.url}{BASE}/result/{job_id}"), 409)
    assert told["job_status"] in ("queued", "processing")


def test_every_dependency_is_watched(stack: RunningStack):
    assert httpx2.get(f"{stack.url}/healthz").json() == {"status": "ok"}
    told = httpx2.get(f"{stack.url}/readyz").json()
    assert told == {
        "status": "ok",
        "checks": {"database": "ok", "redis": "ok", "storage": "ok"},
    }


def hostile_files() -> list[dict]:
    """The collection but for its lists of names, which are no recordings."""
    manifest = HOSTILE / "manifest.json"
    entries = json.loads(manifest.read_text())["files"] if manifest.is_file() else []
    return [entry for entry in entries if not entry["file"].endswith(".json")]


@pytest.mark.parametrize("entry", hostile_files(), ids=lambda entry: entry["file"])
def test_hostile_files(client: Client, recordings: Path, entry: dict, stack: RunningStack):
    """Each is refused or ends, with a sentence, and takes no worker with it."""
    path = recordings / "hostile" / entry["file"]
    workers = {one.pid for one in stack.workers("prepare")}
    with path.open("rb") as file:
        answer = httpx2.post(
            f"{stack.url}{BASE}/transcribe",
            files={"file": (path.name, file)},
            data={"diarizer": "none"},
            timeout=60,
        )
    if answer.status_code != 202:
        told = problem(answer, 422)
        assert not entry["expect"].startswith("accept"), told["detail"]
        assert "/" not in told["detail"]
        return
    job_id = answer.json()["job_id"]
    *_, last = client.events(job_id)
    assert last.data["status"] in ("completed", "failed")
    if entry["expect"].startswith("accept, transcribe the speech"):
        words = " ".join(one["text"] for one in client.result(job_id)["segments"])
        assert len(words.split()) > 5
    if "canary" in entry["expect"]:
        pytest.fail("a playlist was taken")
    assert {one.pid for one in stack.workers("prepare")} == workers


def test_a_client_that_hangs_up_leaves_nothing_behind(stack: RunningStack):
    address = httpx2.URL(stack.url)
    head = (
        f"POST {BASE}/transcribe HTTP/1.1\r\nHost: {address.host}\r\nContent-Length: 9999999\r\n"
        "Content-Type: multipart/form-data; boundary=b\r\n\r\n"
        '--b\r\nContent-Disposition: form-data; name="file"; filename="a.wav"\r\n\r\n'
    )
    with socket.create_connection((address.host, address.port)) as connection:
        connection.sendall(head.encode() + b"x" * 1_000_000)
        wait_until(lambda: left_over(stack) != [])
    wait_until(lambda: left_over(stack) == [])
