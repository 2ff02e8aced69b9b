"""What the service answers when something around it is down or too much is sent."""

from __future__ import annotations

import io

import pytest
from flask.testing import FlaskClient

from core.db.transactions import read_session
from core.jobs import lifecycle
from core.settings import settings
from tests.factories.files import list_job_objects, list_scratch_files
from tests.factories.recordings import build_recording
from tests.factories.requests import SUBMIT_URL
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def browser() -> FlaskClient:
    app = create_app()
    return app.test_client()


def test_once_accepted_a_job_is_kept_although_the_broker_is_down(browser: FlaskClient):
    answer = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")})
    assert answer.status_code == 202
    assert answer.json is not None
    with read_session() as session:
        job = lifecycle.get_job(session, answer.json["job_id"])
        assert job.run.status == "queued"
    assert list_job_objects() == [f"jobs/{job.job_id}/source"]
    assert list_scratch_files() == []
    told = browser.get(answer.headers["Location"]).json
    assert told["status"] == "queued", "the database knows when Redis does not answer"


@pytest.mark.parametrize("whole_request", [15_000, 1_000_000])
def test_a_file_that_is_too_large_is_refused_and_nothing_is_kept(monkeypatch, whole_request: int):
    """By the size that the request declares, or while the file comes in."""
    monkeypatch.setenv("MAX_FILE_SIZE", "10000")
    settings.cache_clear()
    app = create_app()
    app.config["MAX_CONTENT_LENGTH"] = whole_request
    file = (io.BytesIO(b"x" * 20_000), "a.wav")
    answer = app.test_client().post(SUBMIT_URL, data={"file": file})
    assert answer.status_code == 413
    assert answer.json["code"] == "file_too_large"
    assert (list_scratch_files(), list_job_objects()) == ([], [])


def test_a_storage_that_is_down_is_said_so_and_nothing_is_recorded(browser: FlaskClient):
    settings().objects_dir.parent.mkdir(parents=True, exist_ok=True)
    settings().objects_dir.write_text("not a directory")
    answer = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")})
    assert answer.status_code == 503
    assert answer.json["code"] == "unavailable"
    assert int(answer.headers["Retry-After"]) > 0
    assert list_scratch_files() == []


def test_a_database_that_is_down_is_said_so_and_nothing_is_kept(browser: FlaskClient, monkeypatch):
    from core.db import transactions

    monkeypatch.setattr(
        transactions, "engine", lambda: transactions.build_engine("sqlite:////nowhere/at/all.db")
    )
    answer = browser.post(SUBMIT_URL, data={"file": (build_recording(), "a.wav")})
    assert answer.status_code == 503
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (list_scratch_files(), list_job_objects()) == ([], [])


def test_readiness_names_what_is_down(browser: FlaskClient):
    answer = browser.get("/readyz")
    assert answer.status_code == 503
    assert answer.json["checks"] == {"database": "ok", "redis": "unavailable", "storage": "ok"}
    assert browser.get("/healthz").status_code == 200


def test_an_unexpected_error_is_a_problem_without_details(monkeypatch):
    app = create_app()

    @app.get("/broken")
    def broken():
        raise RuntimeError("secret detail")

    answer = app.test_client().get("/broken")
    assert answer.status_code == 500
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert "secret detail" not in answer.text


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("max_lines=0", "max_lines"),
        ("max_cps=fast", "max_cps"),
        ("max_line_length=5", "max_line_length"),
        ("min_duration=2.1", "min_duration"),
        ("max_duration=1.9", "max_duration"),
        ("max_duration=31", "max_duration"),
        ("gap=-0.1", "gap"),
        ("gap=nan", "gap"),
        ("speaker_labels=perhaps", "speaker_labels"),
    ],
)
def test_a_wrong_layout_is_named(browser: FlaskClient, query: str, field: str):
    answer = browser.get(f"/api/transcribe/jobs/result/{'0' * 32}/srt?{query}")
    assert answer.status_code == 422
    assert answer.json["field"] == field
