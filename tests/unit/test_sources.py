"""Recordings that are not uploaded: fetched from an address, or copied within the storage."""

from __future__ import annotations

import gzip
import hashlib
import io
import socket
import uuid

import pytest
from flask.testing import FlaskClient

from core.access import secrets
from core.db.transactions import read_session
from core.jobs import fetched_sources, lifecycle
from core.settings import settings
from core.storage import layout, storage
from tasks import cancelling, pipeline
from tasks.celery import app as celery_app
from tests.factories.files import list_job_objects, list_scratch_files
from tests.factories.jobs import read_state
from tests.factories.recordings import build_recording
from tests.factories.requests import SUBMIT_URL, create_key
from tests.receiver import Receiver, listening, reply
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")

SOUND = build_recording().getvalue()


@pytest.fixture(autouse=True)
def sent(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Only one address of the loopback is allowed, and nothing goes to a broker."""
    monkeypatch.setenv("OUTGOING_ALLOW", "127.0.0.1/32")
    settings.cache_clear()
    celery_app.loader.import_default_modules()
    seen: list[str] = []
    monkeypatch.setattr(pipeline, "start_job", seen.append)
    monkeypatch.setattr(pipeline, "fan_out", seen.append)
    monkeypatch.setattr(cancelling, "terminate_steps", lambda _in_hand: None)
    return seen


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


@pytest.fixture
def host():
    with listening(lambda handler, _: reply(handler, body=SOUND)) as ours:
        yield ours


@pytest.fixture
def private():
    """On this machine, and allowed to nobody."""
    with listening(address="127.0.0.2") as receiver:
        yield receiver


def submit(browser: FlaskClient, **fields: object):
    return browser.post(SUBMIT_URL, data=fields)


def accepted(browser: FlaskClient, **fields: object) -> str:
    answer = submit(browser, **fields)
    assert answer.status_code == 202, answer.json
    return answer.json["job_id"]


def refused(browser: FlaskClient, status: int = 422, **fields: object) -> dict:
    answer = submit(browser, **fields)
    assert answer.status_code == status, answer.json
    assert (list_scratch_files(), list_job_objects()) == ([], [])
    return answer.json


def limit(monkeypatch: pytest.MonkeyPatch, size: int) -> None:
    monkeypatch.setenv("MAX_FILE_SIZE", str(size))
    settings.cache_clear()


def prepare(job_id: str, times: int = 1) -> None:
    """Run the step, and again as often as it asks for."""
    for _ in range(times):
        celery_app.tasks["prepare"].apply(args=(job_id,), throw=False)


def row(job_id: str):
    with read_session() as session:
        return lifecycle.get_job(session, job_id)


# One of three


@pytest.mark.parametrize(
    ("given", "named"),
    [
        (("file", "source_url"), "file and source_url"),
        (("file", "source_key"), "file and source_key"),
        (("source_url", "source_key"), "source_url and source_key"),
        (("file", "source_url", "source_key"), "file and source_url and source_key"),
    ],
)
def test_a_recording_comes_from_one_place(browser, host: Receiver, given, named: str):
    fields = {
        "file": (build_recording(), "a.wav"),
        "source_url": host.url,
        "source_key": "incoming/a.wav",
    }
    refusal = refused(browser, **{name: fields[name] for name in given})
    assert named in refusal["detail"]
    assert refusal["field"] == given[0]
    assert host.connections == 0


def test_a_form_with_none_of_them_is_told_all(browser: FlaskClient):
    refusal = refused(browser, engine="sphinx")
    assert (refusal["code"], refusal["field"]) == ("file_missing", "file")
    assert "source_url or source_key" in refusal["detail"]


def test_a_page_may_send_its_file_field_empty(browser: FlaskClient, host: Receiver):
    accepted(browser, file=(io.BytesIO(), ""), source_url=f"{host.url}/a.wav")


# source_url


@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"\n<!DOCTYPE html><title>Log in</title>", "a web page (text/html)"),
        (b'{"error": "expired"}', "a JSON document"),
        (gzip.compress(b"RIFF", mtime=0), "a gzip file"),
        (b"PK\x03\x04calls.wav", "a ZIP file"),
    ],
    ids=["page", "JSON", "gzip", "ZIP"],
)
def test_what_comes_in_place_of_a_recording_is_named(browser, content: bytes, kind: str):
    def answer(handler, _) -> None:
        declared = "text/html" if b"html" in content.lower() else "application/octet-stream"
        reply(handler, 200, content, Content_Type=declared)

    with listening(answer) as server:
        refusal = refused(browser, source_url=f"{server.url}/call.wav")
    assert (refusal["field"], refusal["code"]) == ("source_url", "source_unavailable")
    assert f"the address responds with {kind}" in refusal["detail"]


def test_an_address_is_opened_at_submission_and_fetched_by_a_worker(browser, host, sent):
    url = f"{host.url}/calls/Mon%20day.wav?token=secret"
    job_id = accepted(browser, source_url=url)
    assert (list_job_objects(), sent) == ([], [job_id])
    assert row(job_id).transcript.audio_sha256 is None
    prepare(job_id)
    assert storage().get_bytes(layout.source(job_id)) == SOUND
    transcript = row(job_id).transcript
    assert transcript.filename == "Mon day.wav"
    assert transcript.audio_bytes == len(SOUND)
    assert transcript.audio_sha256 == hashlib.sha256(SOUND).hexdigest()
    assert read_state(job_id)["stage"] == "listen"
    assert [one.path for one in host.requests] == ["/calls/Mon%20day.wav?token=secret"] * 2
    assert list_scratch_files() == []


def test_nobody_is_shown_the_address_and_it_is_forgotten(browser, host, caplog, capsys):
    caplog.set_level("DEBUG")
    answer = submit(browser, source_url=f"{host.url}/a.wav?token=verysecret")
    job_id = answer.json["job_id"]
    prepare(job_id)
    shown = [
        answer.text,
        browser.get(f"/api/transcribe/jobs/status/{job_id}").text,
        browser.get("/api/transcribe/jobs").text,
        caplog.text,
        *capsys.readouterr(),
        str(row(job_id).engine_params),
    ]
    assert not any("verysecret" in text for text in shown)


def test_a_worker_says_that_it_fetches(browser, host: Receiver):
    job_id = accepted(browser, source_url=host.url)
    said = []

    def look(handler, _):
        said.append(read_state(job_id)["message"])
        reply(handler, body=SOUND)

    host.answer = look
    prepare(job_id)
    assert said == ["Downloading the recording"]


def test_a_second_message_fetches_nothing(browser, host: Receiver):
    job_id = accepted(browser, source_url=host.url)
    prepare(job_id, times=2)
    assert len(host.requests) == 2


@pytest.mark.parametrize(
    "url",
    [
        *("http://127.0.0.2:{port}/a.wav", "http://[::1]:{port}/", "http://169.254.169.254/latest"),
        *("http://127.0.0.2:{port}", "http://0x7f000002:{port}/", "ftp://8.8.8.8/a", "a.wav"),
        *("http://u:p@127.0.0.1/", "http://[", "http://nobody.invalid/", "file:///etc/passwd"),
        "https://8.8.8.8/" + "a" * 8000,
    ],
)
def test_a_bad_address_is_refused_and_not_asked(browser, private: Receiver, url: str):
    refusal = refused(browser, source_url=url.format(port=private.port))
    assert refusal["field"] == "source_url"
    assert private.connections == 0


def test_a_redirect_to_a_private_address_is_refused_and_not_asked(browser, host, private):
    host.answer = lambda handler, _: reply(handler, 302, Location=f"{private.url}/secret")
    assert refused(browser, source_url=host.url)["field"] == "source_url"
    assert (host.connections, private.connections) == (1, 0)


def test_a_redirect_that_turns_private_later_ends_the_job(browser, host, private):
    job_id = accepted(browser, source_url=host.url)
    host.answer = lambda handler, _: reply(handler, 302, Location=f"{private.url}/secret")
    prepare(job_id)
    assert private.connections == 0
    state = read_state(job_id)
    assert (state["status"], state["error"]["code"]) == ("failed", "address_refused")
    assert (list_scratch_files(), list_job_objects()) == ([], [])


def test_three_redirects_are_followed(browser, host: Receiver):
    def wander(handler, request):
        left = int(request.path.strip("/"))
        if left:
            reply(handler, 307, Location=f"/{left - 1}")
        else:
            reply(handler, body=SOUND)

    host.answer = wander
    job_id = accepted(browser, source_url=f"{host.url}/3")
    prepare(job_id)
    assert read_state(job_id)["stage"] == "listen"
    refusal = refused_beside(browser, job_id, source_url=f"{host.url}/4")
    assert "redirects" in refusal["detail"]


def refused_beside(browser: FlaskClient, job_id: str, **fields: object) -> dict:
    """Refused, while another job has objects."""
    before = list_job_objects()
    answer = submit(browser, **fields)
    assert answer.status_code == 422
    assert list_job_objects() == before
    return answer.json


@pytest.mark.parametrize("code", [401, 403, 404, 500, 304])
def test_an_address_that_answers_with_an_error_is_refused_with_it(browser, host, code: int):
    host.answer = lambda handler, _: reply(handler, code)
    refusal = refused(browser, source_url=host.url)
    assert (refusal["code"], refusal["field"]) == ("source_unavailable", "source_url")
    assert str(code) in refusal["detail"]


def test_an_address_where_nobody_listens_is_refused(browser: FlaskClient):
    with listening() as gone:
        url = gone.url
    assert refused(browser, source_url=url)["code"] == "source_unavailable"


def test_what_is_declared_too_large_is_not_even_begun(browser, host, monkeypatch):
    limit(monkeypatch, len(SOUND) - 1)
    refusal = refused(browser, 413, source_url=host.url)
    assert (refusal["code"], refusal["field"]) == ("file_too_large", "source_url")


def in_pieces(handler, _request) -> None:
    """Without saying how much it is going to be."""
    handler.protocol_version = "HTTP/1.1"
    handler.close_connection = True
    handler.send_response(200)
    handler.send_header("Transfer-Encoding", "chunked")
    handler.end_headers()
    for start in range(0, len(SOUND), 4096):
        piece = SOUND[start : start + 4096]
        handler.wfile.write(b"%x\r\n%s\r\n" % (len(piece), piece))
    handler.wfile.write(b"0\r\n\r\n")


def test_what_does_not_say_how_large_it_is_is_counted(browser, host, monkeypatch):
    host.answer = in_pieces
    limit(monkeypatch, len(SOUND) // 2)
    job_id = accepted(browser, source_url=host.url)
    prepare(job_id)
    state = read_state(job_id)
    assert (state["status"], state["error"]["code"]) == ("failed", "file_too_large")
    assert (list_scratch_files(), list_job_objects()) == ([], [])


def test_what_comes_in_pieces_is_whole(browser, host: Receiver):
    host.answer = in_pieces
    job_id = accepted(browser, source_url=host.url)
    prepare(job_id)
    assert row(job_id).transcript.audio_sha256 == hashlib.sha256(SOUND).hexdigest()


def cut_off(handler, _request) -> None:
    handler.send_response(200)
    handler.send_header("Content-Length", str(len(SOUND)))
    handler.end_headers()
    handler.wfile.write(SOUND[: len(SOUND) // 2])
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_a_recording_that_is_cut_off_is_fetched_again(browser, host: Receiver, monkeypatch):
    job_id = accepted(browser, source_url=host.url)
    waits = retries(monkeypatch)
    answers = [cut_off, lambda handler, _: reply(handler, 503)]
    host.answer = lambda handler, request: answers.pop(0)(handler, request)
    prepare(job_id)
    assert (read_state(job_id)["stage"], list_job_objects(), list_scratch_files()) == (
        "prepare",
        [],
        [],
    )
    prepare(job_id)
    assert len(waits) == 2
    host.answer = lambda handler, _: reply(handler, body=SOUND)
    prepare(job_id)
    assert read_state(job_id)["stage"] == "listen"


def retries(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The waits that steps ask for; what they wait for comes at once."""
    waits: list[float] = []
    step = celery_app.tasks["prepare"]

    def retry(*, exc: Exception, countdown: float, headers: object) -> Exception:
        waits.append(countdown)
        return exc

    monkeypatch.setattr(step, "retry", retry)
    monkeypatch.setattr(lifecycle, "lease_expiry", lambda: 0.0)
    monkeypatch.setattr(type(step), "release_lease", lambda *_, **__: None)
    return waits


def test_an_address_that_stays_silent_ends_the_job(browser, host: Receiver, monkeypatch):
    monkeypatch.setenv("CHUNK_MAX_RETRIES", "0")
    settings.cache_clear()
    job_id = accepted(browser, source_url=host.url)
    host.answer = cut_off
    prepare(job_id)
    state = read_state(job_id)
    assert (state["status"], state["error"]["code"]) == ("failed", "source_unavailable")
    host.answer = lambda handler, _: reply(handler, body=SOUND)
    assert browser.post(f"/api/transcribe/jobs/{job_id}/retry").status_code == 202
    prepare(job_id)
    assert read_state(job_id)["stage"] == "listen"


def test_what_is_gone_when_the_worker_comes_ends_the_job_at_once(browser, host: Receiver):
    job_id = accepted(browser, source_url=host.url)
    host.answer = lambda handler, _: reply(handler, 404)
    prepare(job_id)
    state = read_state(job_id)
    assert (state["status"], state["error"]["code"]) == ("failed", "source_unavailable")
    assert "404" in state["error"]["message"]


def test_a_page_that_comes_later_instead_of_a_recording_ends_the_job(browser, host: Receiver):
    job_id = accepted(browser, source_url=host.url)
    host.answer = lambda handler, _: reply(handler, body=b"<html>Please log in</html>" * 99)
    prepare(job_id)
    assert read_state(job_id)["error"]["code"] == "media_unreadable"


def test_a_job_deleted_while_it_is_fetched_leaves_nothing(browser, host: Receiver):
    job_id = accepted(browser, source_url=host.url)

    def delete_meanwhile(handler, _):
        assert browser.delete(f"/api/transcribe/jobs/{job_id}").status_code == 204
        reply(handler, body=SOUND)

    host.answer = delete_meanwhile
    prepare(job_id)
    assert (list_job_objects(), list_scratch_files()) == ([], [])


def test_a_job_that_another_worker_took_is_left_to_it(browser, host, monkeypatch):
    job_id = accepted(browser, source_url=host.url)
    monkeypatch.setattr(fetched_sources, "record_source", lambda *_, **__: False)
    prepare(job_id)
    assert read_state(job_id)["stage"] == "prepare"


# source_key


@pytest.mark.parametrize("key", ["incoming/a.wav", "incoming/2026/mai/Sitzung 3.wav"])
def test_an_object_becomes_a_job_and_stays_where_it_is(browser, key: str):
    storage().put_bytes(key, SOUND)
    job_id = accepted(browser, source_key=key)
    assert storage().get_bytes(layout.source(job_id)) == SOUND
    assert row(job_id).transcript.filename == key.rpartition("/")[2]
    assert row(job_id).transcript.audio_bytes == len(SOUND)
    prepare(job_id)
    assert read_state(job_id)["stage"] == "listen"
    browser.delete(f"/api/transcribe/jobs/{job_id}")
    assert storage().list_keys("") == [key]


@pytest.mark.parametrize(
    "key",
    [
        *("jobs/1/source", "incoming/../jobs/1/source", "/etc/passwd", "../outside", "incoming/"),
        *("incoming", "incoming//a.wav", "incoming/./a.wav", "Incoming/a.wav", "incoming/a\x00b"),
        *(
            "incoming/missing.wav",
            "incoming/" + "ü" * 600,
            "incoming/folder",
            "incoming/" + "a" * 300,
            "s3://b/incoming/a",
        ),
    ],
)
def test_no_other_object_can_be_named(browser: FlaskClient, key: str):
    storage().put_bytes("jobs/1/source", SOUND)
    storage().put_bytes("incoming/folder/a.wav", SOUND)
    answer = submit(browser, source_key=key)
    assert (answer.status_code, answer.json["field"]) == (422, "source_key")
    assert storage().list_keys("jobs/") == ["jobs/1/source"]


def test_a_link_out_of_the_folder_is_not_followed(browser: FlaskClient, tmp_path):
    (tmp_path / "outside.wav").write_bytes(SOUND)
    storage().put_bytes("incoming/a.wav", SOUND)
    (settings().objects_dir / "incoming" / "link.wav").symlink_to(tmp_path / "outside.wav")
    assert refused(browser, source_key="incoming/link.wav")["field"] == "source_key"


def test_an_object_that_is_too_large_is_not_copied(browser: FlaskClient, monkeypatch):
    storage().put_bytes("incoming/a.wav", SOUND)
    limit(monkeypatch, len(SOUND) - 1)
    assert refused(browser, 413, source_key="incoming/a.wav")["code"] == "file_too_large"


def test_the_folder_is_the_operators_to_choose(browser: FlaskClient, monkeypatch):
    monkeypatch.setenv("SOURCE_PREFIX", "shared/calls/")
    settings.cache_clear()
    storage().put_bytes("shared/calls/a.wav", SOUND)
    accepted(browser, source_key="shared/calls/a.wav")


def test_what_is_no_recording_ends_the_job(browser: FlaskClient):
    storage().put_bytes("incoming/a.wav", b"a letter")
    job_id = accepted(browser, source_key="incoming/a.wav")
    prepare(job_id)
    assert read_state(job_id)["status"] == "failed"


@pytest.mark.parametrize("field", ["source_url", "source_key"])
def test_a_request_sent_twice_under_one_key_is_one_job(browser, host: Receiver, field: str):
    storage().put_bytes("incoming/a.wav", SOUND)
    value = {"source_url": host.url, "source_key": "incoming/a.wav"}[field]
    headers = {"Idempotency-Key": secrets.get_secret("any")}
    first = browser.post(SUBMIT_URL, data={field: value}, headers=headers)
    storage().delete("incoming/a.wav")
    second = browser.post(SUBMIT_URL, data={field: value}, headers=headers)
    assert first.json["job_id"] == second.json["job_id"]
    assert host.connections == (field == "source_url")
    other = browser.post(SUBMIT_URL, data={field: f"{value}x"}, headers=headers)
    assert other.status_code == 422
    assert str(uuid.UUID(first.json["job_id"])) == first.json["job_id"]


def test_with_keys_everybody_has_a_folder_of_their_own(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setenv("AUTH", "on")
    settings.cache_clear()
    browser = create_app().test_client()
    owner, headers = create_key()
    mine, another = f"incoming/{owner.owner_id}/a.wav", f"incoming/{uuid.uuid4()}/a.wav"
    for name in (mine, another, "incoming/a.wav"):
        storage().put_bytes(name, SOUND)
    assert browser.post(SUBMIT_URL, data={"source_key": mine}, headers=headers).status_code == 202
    for name in (another, "incoming/a.wav"):
        answer = browser.post(SUBMIT_URL, data={"source_key": name}, headers=headers)
        assert (answer.status_code, answer.json["field"]) == (422, "source_key")
