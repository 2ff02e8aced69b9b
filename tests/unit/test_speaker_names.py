"""Names of speakers: given over REST, shown by every format."""

from __future__ import annotations

import uuid

import pytest
from flask.testing import FlaskClient

from core.db.models import Transcript, TranscriptJob
from core.db.transactions import transaction
from core.states import JobStatus
from tests.factories.transcripts import create_transcript
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def url(job: TranscriptJob) -> str:
    return f"/api/transcribe/transcripts/{job.transcript_id}/speakers"


def kept(job: TranscriptJob) -> dict[str, str]:
    with transaction() as session:
        return session.get_one(Transcript, job.transcript_id).speaker_names


def test_names_are_given_changed_and_taken_away(browser: FlaskClient):
    job = create_transcript(0, 1, None, 0, 10)
    steps = [
        ({}, {}),
        ({"0": "  Dr. Smith ", "10": "Ana"}, {"0": "Dr. Smith", "10": "Ana"}),
        ({"1": "Zoë"}, {"0": "Dr. Smith", "1": "Zoë", "10": "Ana"}),
        ({"0": "Dr. Jones", "1": ""}, {"0": "Dr. Jones", "10": "Ana"}),
        ({"0": None, "1": None, "10": "  "}, {}),
    ]
    nameless = {"0": "SPEAKER_00", "1": "SPEAKER_01", "10": "SPEAKER_10"}
    for names, given in steps:
        answer = browser.patch(url(job), json={"names": names})
        assert answer.status_code == 200
        assert answer.json == {"names": {**nameless, **given}}
        assert kept(job) == given


def test_results_and_subtitles_show_the_names(browser: FlaskClient):
    job = create_transcript(0, 1)
    browser.patch(url(job), json={"names": {"1": "Dr. Smith"}})
    result = f"/api/transcribe/jobs/result/{job.job_id}"
    assert browser.get(result).json["speaker_names"] == {"1": "Dr. Smith"}
    for form in ("srt", "vtt", "txt", "tsv"):
        text = browser.get(f"{result}/{form}").text
        assert "Dr. Smith" in text
        assert "SPEAKER_00" in text
        assert "SPEAKER_01" not in text


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "names"),
        ({"names": None}, "names"),
        ({"names": ["Ana"]}, "names"),
        ({"name": {"0": "Ana"}, "names": {}}, "name"),
        ({"names": {"0": 5}}, "names.0"),
        ({"names": {"0": "x" * 101}}, "names.0"),
        ({"names": {"0": "a\u0007b"}}, "names.0"),
        ({"names": {"0": "two\nlines"}}, "names.0"),
        ({"names": {"0": "Ana", "2": "Nobody"}}, "names.2"),
        ({"names": {"2": None}}, "names.2"),
        ({"names": {"00": "Ana"}}, "names.00"),
        ({"names": {" 0": "Ana"}}, "names. 0"),
        ({"names": {"-1": "Ana"}}, "names.-1"),
        ({"names": {"٠": "Ana"}}, "names.٠"),
        ({"names": {"": "Ana"}}, "names."),
        ({"names": {"SPEAKER_00": "Ana"}}, "names.SPEAKER_00"),
    ],
)
def test_a_wrong_body_names_its_field_and_changes_nothing(
    browser: FlaskClient, body: dict, field: str
):
    job = create_transcript(0, 1)
    browser.patch(url(job), json={"names": {"0": "Zoë"}})
    answer = browser.patch(url(job), json=body)
    assert answer.status_code == 422
    assert answer.headers["Content-Type"] == "application/problem+json"
    assert (answer.json["code"], answer.json["field"]) == ("invalid_input", field)
    assert kept(job) == {"0": "Zoë"}


def test_a_transcript_without_speakers_has_none_to_name(browser: FlaskClient):
    job = create_transcript(None)
    answer = browser.patch(url(job), json={"names": {"0": "Ana"}})
    assert answer.status_code == 422
    assert "there are: none" in answer.json["detail"]
    assert browser.patch(url(job), json={"names": {}}).json == {"names": {}}


def test_speakers_are_named_when_they_are_known(browser: FlaskClient):
    job = create_transcript(status=JobStatus.PROCESSING)
    answer = browser.patch(url(job), json={"names": {"0": "Ana"}})
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert answer.json["job_status"] == "processing"


@pytest.mark.parametrize(
    ("transcript_id", "status", "field"),
    [(str(uuid.UUID(int=0)), 404, None), ("mine", 422, "transcript_id")],
)
def test_a_transcript_is_unknown_or_its_id_is_none(
    browser: FlaskClient, transcript_id: str, status: int, field: str | None
):
    where = f"/api/transcribe/transcripts/{transcript_id}/speakers"
    answer = browser.patch(where, json={"names": {}})
    assert (answer.status_code, answer.json.get("field")) == (status, field)
