"""Players jump in recordings, and no browser shows what pretends to be one."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from flask.testing import FlaskClient

from chunking.decode import file_header
from core.storage import layout, storage
from tests.factories.transcripts import create_transcript
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")

SAMPLE = Path(__file__).resolve().parents[2] / "samples" / "conversation.flac"
#: More than a block of the storage.
SOUND = b"fLaC" + bytes(range(251)) * 10_000
LAST = len(SOUND) - 1


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


@pytest.fixture(params=["recording", "artefact"])
def link(browser: FlaskClient, request: pytest.FixtureRequest) -> str:
    """Where the sound can be fetched."""
    return (stored if request.param == "recording" else cut)(browser, SOUND)


def stored(browser: FlaskClient, content: bytes) -> str:
    job_id = create_transcript(0).job_id
    storage().put_bytes(layout.source(job_id), content)
    return browser.get(f"/api/transcribe/jobs/result/{job_id}").json["audio_url"]


def cut(_: FlaskClient, content: bytes) -> str:
    job_id = create_transcript(0).job_id
    storage().put_bytes(layout.chunk_audio(job_id, 0), content)
    return f"/api/transcribe/jobs/artefacts/{job_id}/chunks/chunk_0000.wav"


def test_the_whole_says_that_there_are_parts(browser: FlaskClient, link: str):
    answer = browser.get(link)
    assert (answer.status_code, answer.data) == (200, SOUND)
    assert answer.headers["Accept-Ranges"] == "bytes"
    assert answer.headers["Content-Length"] == str(len(SOUND))
    assert "Content-Range" not in answer.headers


@pytest.mark.parametrize(
    ("asked", "first", "last"),
    [
        ("0-", 0, LAST),
        ("0-0", 0, 0),
        ("100-1100000", 100, 1_100_000),
        ("2000000-", 2_000_000, LAST),
        ("-5", LAST - 4, LAST),
        (f"{LAST}-99999999", LAST, LAST),
    ],
)
def test_a_part_is_sent(browser: FlaskClient, link: str, asked: str, first: int, last: int):
    answer = browser.get(link, headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 206
    assert answer.headers["Content-Range"] == f"bytes {first}-{last}/{len(SOUND)}"
    assert answer.headers["Content-Length"] == str(last - first + 1)
    assert answer.data == SOUND[first : last + 1]


@pytest.mark.parametrize("asked", [f"{LAST + 1}-", "99999999-100000000"])
def test_what_lies_behind_the_end_is_refused(browser: FlaskClient, link: str, asked: str):
    answer = browser.get(link, headers={"Range": f"bytes={asked}"})
    assert answer.status_code == 416
    assert answer.headers["Content-Range"] == f"bytes */{len(SOUND)}"
    assert answer.json["code"] == "range_not_satisfiable"


@pytest.mark.parametrize(
    "asked", ["bytes=0-1,5-6", "bytes=5-2", "bytes=x", "words=0-1", "0-1", "bytes=-9999999"]
)
def test_what_is_no_single_range_is_answered_with_the_whole(browser, link: str, asked: str):
    answer = browser.get(link, headers={"Range": asked})
    assert (answer.status_code, answer.data) == (200, SOUND)


def test_a_part_of_another_file_is_not_sent(browser: FlaskClient, link: str):
    etag = browser.get(link).headers["ETag"]
    same = browser.get(link, headers={"Range": "bytes=0-3", "If-Range": etag})
    assert (same.status_code, same.data) == (206, SOUND[:4])
    other = browser.get(link, headers={"Range": "bytes=0-3", "If-Range": '"other"'})
    assert (other.status_code, other.data) == (200, SOUND)


def test_what_is_known_already_is_not_sent_again(browser: FlaskClient, link: str):
    etag = browser.get(link).headers["ETag"]
    known = browser.get(link, headers={"If-None-Match": etag})
    assert (known.status_code, known.data) == (304, b"")
    assert browser.get(link, headers={"If-Match": '"other"'}).status_code == 412
    assert browser.get(link, headers={"If-Match": etag}).status_code == 200


def test_only_the_heads_can_be_asked_for(browser: FlaskClient, link: str):
    answer = browser.head(link)
    assert (answer.status_code, answer.data) == (200, b"")
    assert answer.headers["Content-Length"] == str(len(SOUND))
    part = browser.head(link, headers={"Range": "bytes=-5"})
    assert (part.status_code, part.headers["Content-Length"]) == (206, "5")


def test_an_empty_file_has_no_parts(browser: FlaskClient):
    link = stored(browser, b"")
    answer = browser.get(link, headers={"Range": "bytes=0-"})
    assert (answer.status_code, answer.data) == (200, b"")


def test_a_recording_that_was_removed_is_not_found(browser: FlaskClient, link: str):
    storage().delete("jobs/")
    assert browser.get(link).status_code == 404


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"fLaC\0\0", "audio/flac"),
        (b"RIFF\0\0\0\0WAVEfmt ", "audio/wav"),
        (b"<!doctype html><script>", "application/octet-stream"),
        (b"<svg xmlns=", "application/octet-stream"),
        (b"%PDF-1.7", "application/octet-stream"),
    ],
)
def test_sound_is_called_sound_and_all_else_only_bytes(browser, head: bytes, told: str):
    answer = browser.get(stored(browser, head + bytes(100)))
    assert answer.mimetype == told
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    assert answer.headers["Content-Disposition"] == "attachment"


@pytest.mark.parametrize(
    ("name", "codec", "told"),
    [
        ("a.wav", "pcm_s16le", "audio/wav"),
        ("a.flac", "flac", "audio/flac"),
        ("a.mp3", "mp3", "audio/mpeg"),
        ("a.ogg", "libopus", "audio/ogg"),
        ("a.m4a", "aac", "audio/mp4"),
        ("a.mp4", "aac", "video/mp4"),
        ("a.mov", "aac", "video/quicktime"),
        ("a.aac", "aac", "audio/aac"),
        ("a.webm", "libopus", "video/webm"),
        ("a.mkv", "libopus", "video/x-matroska"),
        ("a.aiff", "pcm_s16be", "audio/aiff"),
    ],
)
def test_what_ffmpeg_writes_is_called_by_its_name(tmp_path: Path, name, codec, told: str):
    path = tmp_path / name
    with av.open(str(SAMPLE)) as source, av.open(str(path), "w") as target:
        stream = target.add_stream(codec, rate=48_000, layout="mono")
        resampler = av.AudioResampler(stream.format, "mono", 48_000, stream.frame_size or None)
        for frame in source.decode(audio=0):
            for ready in resampler.resample(frame):
                target.mux(stream.encode(ready))
            if frame.time > 1:
                break
        target.mux(stream.encode(None))
    assert file_header.find_media_type(path.read_bytes()[:64]) == told
    assert told in file_header.MEDIA_TYPES


@pytest.mark.parametrize(
    ("head", "told"),
    [
        (b"", None),
        (b"\xff", None),
        (b"\xff\xfb\x90", "audio/mpeg"),
        (b"\xff\xf3\x90", "audio/mpeg"),
        (b"\xff\xe3\x90", "audio/mpeg"),
        (b"\xff\xeb\x90", None),
        (b"\xff\xf1\x50", "audio/aac"),
        (b"\xff\xe1\x50", None),
        (b"\xff\xfe<\0h\0", None),
        (b"\xff\xfeh\0t\0m\0l\0", None),
    ],
)
def test_frames_without_a_header_are_told_by_their_bits(head: bytes, told: str | None):
    assert file_header.find_media_type(head) == told
