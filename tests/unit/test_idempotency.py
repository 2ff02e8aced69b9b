"""A submission that is sent again makes one job: after its answer, at the same time, or changed."""

from __future__ import annotations

import io
import os
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from core import clock
from core.access import idempotency
from core.db import migrate, transactions
from core.db.models import IdempotencyRow, Transcript, TranscriptJob
from core.db.transactions import read_session, transaction
from core.settings import settings
from core.storage import storage
from tasks.steps.housekeeping import clean_up
from tests.factories.recordings import build_recording
from tests.factories.requests import create_key
from transcribe_api.app import create_app
from transcribe_api.submission import submissions

URL = "/api/transcribe/jobs/transcribe"
DATABASE = os.environ.get("TEST_DATABASE_URL", "")


@pytest.fixture
def browser(database: None) -> FlaskClient:
    return create_app().test_client()


def submit(
    browser: FlaskClient, name: str | None, url: str = URL, file: io.BytesIO | None = None, **form
) -> TestResponse:
    headers = {} if name is None else {"Idempotency-Key": name}
    shown = form.pop("shown", "a.wav")
    sent = {"file": (file or build_recording(), shown), **form}
    return browser.post(url, data=sent, headers=headers)


def count(kind: type) -> int:
    with read_session() as session:
        return session.scalar(select(func.count()).select_from(kind))


def test_the_same_request_gets_the_same_answer_and_one_job(browser: FlaskClient):
    first = submit(browser, "one", language="en-US")
    assert "Idempotency-Replayed" not in first.headers
    again = submit(browser, "one", language=" en-US ", model="")
    assert (again.status_code, again.data) == (202, first.data)
    assert again.headers["Location"] == first.headers["Location"]
    assert again.headers["Idempotency-Replayed"] == "true"
    assert count(TranscriptJob) == 1
    assert storage().list_keys("jobs/") == [f"jobs/{first.json['job_id']}/source"]
    assert list(settings().scratch_dir.glob("*")) == []


def test_without_a_key_or_with_another_each_request_is_a_job(browser: FlaskClient):
    made = {submit(browser, name).json["job_id"] for name in (None, None, "one", "two")}
    assert len(made) == 4


@pytest.mark.parametrize(
    "other",
    [
        {"language": "en-US"},
        {"url": f"{URL}/asr"},
        {"shown": "b.wav"},
        {"file": build_recording(0.6)},
        {"priority": "high"},
        {"session_id": str(uuid.UUID(int=1))},
    ],
)
def test_another_request_under_the_same_key_is_refused(browser: FlaskClient, other: dict):
    submit(browser, "one")
    refused = submit(browser, "one", **other)
    assert refused.status_code == 422
    assert refused.json["code"] == "idempotency_mismatch"
    assert refused.json["field"] == "Idempotency-Key"
    assert count(TranscriptJob) == 1


def test_each_route_takes_a_key(browser: FlaskClient):
    for engine in ("/asr", "/whisperx"):
        first, again = (submit(browser, engine, f"{URL}{engine}") for _ in range(2))
        assert first.json == again.json


@pytest.mark.parametrize("name", ["", " ", "a b", "x" * 256, "naïve", "a\tb"])
def test_a_key_that_is_none_is_refused_before_the_recording_comes(browser: FlaskClient, name: str):
    refused = submit(browser, name)
    assert refused.status_code == 422
    assert refused.json["field"] == "Idempotency-Key"
    assert not settings().scratch_dir.exists()


@pytest.mark.parametrize("name", ["x", "x" * 255, "!~{}\"'"])
def test_a_key_has_up_to_255_visible_characters(browser: FlaskClient, name: str):
    assert submit(browser, name).status_code == 202


def test_a_submission_that_fails_leaves_its_key_free(browser: FlaskClient):
    assert submit(browser, "one", file=io.BytesIO(b"Dear Sir")).status_code == 422
    assert submit(browser, "one").status_code == 202


def test_a_storage_that_is_down_leaves_the_key_free(browser: FlaskClient):
    settings().objects_dir.parent.mkdir(parents=True, exist_ok=True)
    settings().objects_dir.write_text("not a directory")
    assert submit(browser, "one").status_code == 503
    assert count(IdempotencyRow) == 0
    settings().objects_dir.unlink()
    assert submit(browser, "one").status_code == 202


def test_a_deleted_job_leaves_its_key_free(browser: FlaskClient):
    first = submit(browser, "one").json["job_id"]
    assert browser.delete(f"/api/transcribe/jobs/{first}").status_code == 204
    assert count(IdempotencyRow) == 0
    assert submit(browser, "one").json["job_id"] != first


def test_an_answer_is_kept_for_a_day(browser: FlaskClient):
    first = submit(browser, "one").json["job_id"]
    submit(browser, "two")
    clean_up()
    assert count(IdempotencyRow) == 2
    with transaction() as session:
        row = session.get(IdempotencyRow, ("", "one"))
        row.created_at = clock.utc_now() - timedelta(hours=idempotency.RETENTION_HOURS, seconds=1)
    clean_up()
    assert count(IdempotencyRow) == 1
    assert submit(browser, "one").json["job_id"] != first


def test_owners_do_not_know_of_each_others_keys(database, monkeypatch):
    monkeypatch.setenv("AUTH", "on")
    settings.cache_clear()
    browser = create_app().test_client()
    (mine, my_headers), (_, their_headers) = create_key(), create_key()
    _, my_next_headers = create_key(same_owner_as=mine.prefix)

    def sent(headers: dict[str, str], name: str) -> TestResponse:
        form = {"file": (build_recording(), name)}
        return browser.post(URL, data=form, headers={**headers, "Idempotency-Key": "one"})

    first = sent(my_headers, "a.wav").json["job_id"]
    assert sent(their_headers, "b.wav").status_code == 202
    assert sent(my_next_headers, "a.wav").json["job_id"] == first


def test_a_fingerprint_does_not_depend_on_the_order_of_fields():
    one = idempotency.compute_fingerprint({"a": "1", "b": ["2", None]})
    assert one == idempotency.compute_fingerprint({"b": ["2", None], "a": "1"})
    assert one != idempotency.compute_fingerprint({"a": "2", "b": ["1", None]})


# At the same time


@pytest.fixture(params=["sqlite", "postgresql"])
def any_database(request: pytest.FixtureRequest, data_dir, monkeypatch) -> Iterator[Flask]:
    if request.param == "postgresql":
        if not DATABASE:
            pytest.skip("TEST_DATABASE_URL names no server")
        monkeypatch.setenv("DATABASE_URL", DATABASE)
        settings.cache_clear()
    migrate.upgrade_database()
    yield create_app()
    transactions.engine().dispose()
    transactions._engine.cache_clear()


def test_requests_at_the_same_time_make_one_job(any_database: Flask, monkeypatch):
    """All have looked for an answer, and found none, before the first writes its own."""
    at_once = 4
    all_have_looked = threading.Barrier(at_once, timeout=60)
    look = submissions._refuse_foreign_references
    monkeypatch.setattr(
        submissions, "_refuse_foreign_references", lambda spec: (look(spec), all_have_looked.wait())
    )
    name, shown = uuid.uuid4().hex, f"{uuid.uuid4().hex}.wav"

    def send(_: int) -> TestResponse:
        return submit(any_database.test_client(), name, shown=shown)

    with ThreadPoolExecutor(at_once) as pool:
        answers = list(pool.map(send, range(at_once)))
    assert {answer.status_code for answer in answers} == {202}, [one.text for one in answers]
    assert len({answer.data for answer in answers}) == 1
    replayed = [answer.headers.get("Idempotency-Replayed") for answer in answers]
    assert sorted(replayed, key=str) == [None, *["true"] * (at_once - 1)]
    with read_session() as session:
        named = select(func.count()).select_from(Transcript).where(Transcript.filename == shown)
        assert session.scalar(named) == 1
    assert storage().list_keys("jobs/") == [f"jobs/{answers[0].json['job_id']}/source"]
    deleted = any_database.test_client().delete(f"/api/transcribe/jobs/{answers[0].json['job_id']}")
    assert deleted.status_code == 204


def test_another_request_at_the_same_time_is_refused(any_database: Flask, monkeypatch):
    both_have_looked = threading.Barrier(2, timeout=60)
    look = submissions._refuse_foreign_references
    monkeypatch.setattr(
        submissions,
        "_refuse_foreign_references",
        lambda spec: (look(spec), both_have_looked.wait()),
    )
    name = uuid.uuid4().hex

    def send(shown: str) -> TestResponse:
        return submit(any_database.test_client(), name, shown=shown)

    with ThreadPoolExecutor(2) as pool:
        first, second = sorted(pool.map(send, ["a.wav", "b.wav"]), key=lambda one: one.status_code)
    assert (first.status_code, second.status_code) == (202, 422)
    assert second.json["code"] == "idempotency_mismatch"
    assert storage().list_keys("jobs/") == [f"jobs/{first.json['job_id']}/source"]
    any_database.test_client().delete(f"/api/transcribe/jobs/{first.json['job_id']}")
