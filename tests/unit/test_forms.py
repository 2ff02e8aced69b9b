"""Forms as they are really sent, and what is said of those that are wrong."""

from __future__ import annotations

from http import HTTPStatus
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from hypothesis import given
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from core.db.transactions import read_session
from core.jobs import lifecycle
from tests.factories.recordings import build_recording
from transcribe_api.app import create_app
from transcribe_api.http.requests.forms import decode_name

URL = "/api/transcribe/jobs/transcribe"
THEIRS = "/v1/audio/transcriptions"
MULTIPART = "multipart/form-data"
#: The id of a job that is not there.
NOBODY = "00000000-0000-0000-0000-000000000000"


@pytest.fixture
def browser(database: None, tmp_path: Path) -> FlaskClient:
    return create_app().test_client()


def part(disposition: bytes, content: bytes) -> bytes:
    head = b"--x\r\nContent-Disposition: form-data; " + disposition
    return head + b"\r\n\r\n" + content + b"\r\n"


def post(browser: FlaskClient, *parts: bytes, ending: bytes = b"--x--\r\n") -> TestResponse:
    body = b"".join(parts) + ending
    return browser.post(URL, data=body, content_type=f"{MULTIPART}; boundary=x")


def shown_name(answer: TestResponse) -> str:
    assert answer.status_code == HTTPStatus.ACCEPTED, answer.json
    with read_session() as session:
        return lifecycle.get_job(session, answer.json["job_id"]).transcript.filename


def sound() -> bytes:
    return build_recording().read()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        ("coração.wav".encode(), "coração.wav"),
        ("coração.wav".encode("latin-1"), "coração.wav"),
        ("REUNIÃO.wav".encode("latin-1"), "REUNIÃO.wav"),
        ("会议录音.wav".encode("gbk"), "会议录音.wav"),
        ("می\u200cخواهم.wav".encode(), "می\u200cخواهم.wav"),
        (b"plain.wav", "plain.wav"),
    ],
)
def test_a_file_name_may_be_in_any_encoding(browser: FlaskClient, raw: bytes, name: str):
    answer = post(browser, part(b'name="file"; filename="' + raw + b'"', sound()))
    assert shown_name(answer) == name


@given(st.binary(max_size=60))
def test_every_name_is_read(raw: bytes):
    assert isinstance(decode_name(raw), str)


@pytest.mark.parametrize("disposition", [b'name="file"', b"name=file"])
def test_a_part_without_a_file_name_is_a_file(browser: FlaskClient, disposition: bytes):
    answer = post(browser, part(disposition, sound()), part(b'name="engine"', b"sphinx"))
    assert shown_name(answer) == "recording"


def test_an_empty_file_field_beside_a_key_is_none(browser: FlaskClient):
    answer = post(browser, part(b'name="file"', b""), part(b'name="source_key"', b"incoming/none"))
    assert answer.json["field"] == "source_key", "it is looked for, and is not there"


@pytest.mark.parametrize(
    ("content_type", "body", "code", "told"),
    [
        (MULTIPART, part(b'name="file"', b"1") + b"--x--\r\n", "boundary_missing", "no boundary"),
        ("application/json", b"{}", "form_expected", "not application/json"),
        ("audio/wav", b"RIFF", "form_expected", "not audio/wav"),
        (
            f"{MULTIPART}; boundary=x",
            part(b'name="engine"', b"sphinx"),
            "form_unreadable",
            "incomplete",
        ),
        (f"{MULTIPART}; boundary=y", part(b'name="file"', b"1"), "form_unreadable", "incomplete"),
        (f"{MULTIPART}; boundary=x", b"--x--\r\n", "file_missing", "form field 'file'"),
    ],
)
def test_each_broken_form_has_its_own_reason(
    browser: FlaskClient, content_type: str, body: bytes, code: str, told: str
):
    answer = browser.post(URL, data=body, content_type=content_type)
    assert (answer.status_code, answer.json["code"]) == (422, code)
    assert told in answer.json["detail"]


def test_a_recording_that_breaks_off_is_no_job(browser: FlaskClient):
    answer = post(browser, part(b'name="file"; filename="a.wav"', sound())[:-400], ending=b"")
    assert answer.json["code"] == "form_unreadable"


@pytest.mark.parametrize(
    ("field", "meant"),
    [("max_speaker", "max_speakers"), ("lang", "language"), ("diarization", "enable_diarization"),
     ("Engine", "engine")],
)  # fmt: skip
def test_an_unknown_field_is_refused_with_the_nearest_known_one(
    browser: FlaskClient, field: str, meant: str
):
    answer = browser.post(URL, data={"file": (build_recording(), "a.wav"), field: "1"})
    assert (answer.status_code, answer.json["field"]) == (422, field)
    assert f"did you mean {meant}?" in answer.json["detail"]


def test_an_unknown_field_of_a_list_is_refused(browser: FlaskClient):
    answer = browser.get("/api/transcribe/jobs?q=meeting")
    assert (answer.status_code, answer.json["field"]) == (422, "q")
    assert "status" in answer.json["detail"]
    assert browser.get("/api/transcribe/jobs?limit=5").status_code == HTTPStatus.OK


@pytest.mark.parametrize(
    ("method", "address", "told"),
    [
        ("POST", f"{URL}?engine=sphinx", "engine: there is no such field; this address accepts"),
        ("GET", f"/api/transcribe/jobs/status/{NOBODY}?foo=1", "foo: there is no such field"),
        ("GET", f"/api/transcribe/jobs/stream/{NOBODY}?foo=1", "allowed: access_token"),
        ("GET", f"/api/transcribe/jobs/result/{NOBODY}/srt?max_line=3", "did you mean max_lines?"),
        ("GET", f"/api/transcribe/jobs/result/{NOBODY}/txt?max_lines=3", "only for srt and vtt"),
        ("DELETE", f"/api/transcribe/jobs/{NOBODY}?dry_run=1", "dry_run: there is no such field"),
    ],
)
def test_no_field_of_an_address_is_passed_over(
    browser: FlaskClient, method: str, address: str, told: str
):
    answer = browser.open(address, method=method, data={"file": (build_recording(), "a.wav")})
    assert answer.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    assert told in answer.json["detail"]


def test_what_watches_a_service_may_ask_as_it_likes(browser: FlaskClient):
    assert browser.get("/healthz?once=1").status_code == HTTPStatus.OK


@pytest.mark.parametrize(("enabled", "diarizer"), [("false", "neural"), ("true", "none")])
def test_two_fields_that_contradict_each_other_are_refused(
    browser: FlaskClient, enabled: str, diarizer: str
):
    form = {"enable_diarization": enabled, "diarizer": diarizer}
    answer = browser.post(URL, data={"file": (build_recording(), "a.wav"), **form})
    assert (answer.status_code, answer.json["field"]) == (422, "diarizer")
    assert f"enable_diarization={enabled}" in answer.json["detail"]


def test_a_number_of_speakers_that_nobody_looks_for_is_told_to_have_no_effect(browser: FlaskClient):
    form = {"diarizer": "none", "max_speakers": "2", "engine": "sphinx"}
    answer = browser.post(URL, data={"file": (build_recording(), "a.wav"), **form})
    [ignored] = [one for one in answer.json["warnings"] if one["code"] == "option_ignored"]
    assert "their number has no effect" in ignored["sentence"]


def test_terms_that_an_engine_cannot_take_are_reported(browser: FlaskClient):
    context = {"name": "Clinic", "terms": [{"phrase": "metformin", "boost": 20}]}
    context_id = browser.post("/api/transcribe/contexts", json=context).json["context_id"]
    for engine, count in (("sphinx", 1), ("whisper", 0)):
        form = {"engine": engine, "context_id": context_id}
        answer = browser.post(URL, data={"file": (build_recording(), "a.wav"), **form})
        sentences = [one["sentence"] for one in answer.json.get("warnings", ())]
        assert sum("not support terms of a context" in sentence for sentence in sentences) == count


@pytest.mark.parametrize(
    ("field", "allowed"), [("engine", "allowed: auto, "), ("diarizer", "allowed: auto, none, ")]
)
def test_all_that_may_be_said_is_named(browser: FlaskClient, field: str, allowed: str):
    answer = browser.post(URL, data={"file": (build_recording(), "a.wav"), field: "nope"})
    assert answer.json["detail"].startswith(f"{field}: 'nope' is unknown; {allowed}")


def test_what_has_no_effect_under_v1_is_named(browser: FlaskClient):
    form = {"model": "whisper-1", "stream": "true", "temperature": "0", "include[]": "logprobs"}
    with browser.post(
        THEIRS, data={"file": (build_recording(), "a.wav"), **form}, buffered=False
    ) as answer:
        assert answer.status_code == HTTPStatus.OK
        assert answer.headers["X-Ignored-Fields"] == "temperature, include[]"


def test_an_unknown_field_under_v1_is_refused(browser: FlaskClient):
    answer = browser.post(
        THEIRS, data={"file": (build_recording(), "a.wav"), "model": "whisper-1", "lang": "pt"}
    )
    assert (answer.status_code, answer.json["error"]["param"]) == (400, "lang")
    assert "language" in answer.json["error"]["message"]


@pytest.mark.parametrize("field", ["timestamp_granularities[]", "timestamp_granularities"])
def test_granularities_need_no_brackets(browser: FlaskClient, field: str):
    form = {"model": "whisper-1", "response_format": "verbose_json", field: "syllable"}
    answer = browser.post(THEIRS, data={"file": (build_recording(), "a.wav"), **form})
    assert answer.status_code == HTTPStatus.BAD_REQUEST
    assert "'syllable' is unknown" in answer.json["error"]["message"]
