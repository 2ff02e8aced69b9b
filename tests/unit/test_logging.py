"""Lines of logs say what they are about, and give nothing away."""

from __future__ import annotations

import json
import logging

import pytest
import structlog
from flask.testing import FlaskClient

from core import log
from core.settings import settings
from tests.factories.recordings import build_recording
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")

JOB = "3f0b9a52-6f3d-4a53-9a4f-0d6f4d3c8f11"


def lines(capsys: pytest.CaptureFixture[str]) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines()]


def started(capsys: pytest.CaptureFixture[str]) -> FlaskClient:
    """A service whose lines go where the standard error of the test is."""
    made = create_app().test_client()
    capsys.readouterr()
    return made


def requests(capsys) -> list[dict]:
    return [line for line in lines(capsys) if line["event"] == "request"]


def test_a_request_has_one_line_with_its_name_and_its_job(capsys):
    browser = started(capsys)
    answer = browser.get(f"/api/transcribe/jobs/status/{JOB}", headers={"X-Request-ID": "mine-1"})
    assert answer.headers["X-Request-ID"] == "mine-1"
    [line] = requests(capsys)
    assert (line["request_id"], line["job_id"]) == ("mine-1", JOB)
    assert (line["method"], line["status"]) == ("GET", 404)
    assert line["rule"] == "/api/transcribe/jobs/status/<job_id>"
    assert line["milliseconds"] >= 0


@pytest.mark.parametrize("name", ["", "two words", "x" * 129, "a\tb"])
def test_a_strange_name_of_a_request_is_not_taken(capsys, name: str):
    browser = started(capsys)
    made = browser.get("/healthz", headers={"X-Request-ID": name}).headers["X-Request-ID"]
    assert len(made) == 36


def test_a_submission_is_told_of_with_the_job_that_it_made(capsys):
    browser = started(capsys)
    file = (build_recording(), "a.wav")
    told = browser.post("/api/transcribe/jobs/transcribe", data={"file": file}).json
    found = lines(capsys)
    assert {line.get("job_id") for line in found if "job" in line["event"]} == {told["job_id"]}
    assert found[-1]["job_id"] == told["job_id"]


def test_the_next_request_of_a_thread_is_about_its_own_job(capsys):
    browser = started(capsys)
    browser.get(f"/api/transcribe/jobs/status/{JOB}")
    browser.get("/api/transcribe/jobs")
    assert ["job_id" in line for line in requests(capsys)] == [True, False]


def test_polling_is_told_of_only_when_it_fails(capsys):
    browser = started(capsys)
    browser.get("/healthz")
    assert requests(capsys) == []
    browser.get("/readyz")
    assert [line["status"] for line in requests(capsys)] == [503]


def test_no_secret_gets_into_a_line(monkeypatch, capsys):
    secrets = {
        "MINIO_SECRET_KEY": 'open"sesame',
        "HF_TOKEN": "hf_abcdefgh",
        "FLOWER_BASIC_AUTH": "admin:a-long-password",
    }
    for name, value in secrets.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("REDIS_URL", "redis://:hunter2hunter2@redis:6379/0")
    settings.cache_clear()
    log.configure_logging()
    key = f"tk_0123456789_{'k' * 43}"
    structlog.get_logger("ours").info("secrets", all=[*secrets.values(), key])
    logging.getLogger("theirs").warning("cannot connect to %s", settings().redis)
    text = capsys.readouterr().err
    for secret in ("sesame", "hf_abcdefgh", "a-long-password", "hunter2", "kkkk"):
        assert secret not in text
    assert "tk_0123456789_***" in text
    assert [json.loads(line)["level"] for line in text.splitlines()] == ["info", "warning"]
