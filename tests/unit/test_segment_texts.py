"""Texts of segments: changed over REST, shown by every format, kept when the job is done again."""

from __future__ import annotations

import uuid

import pytest
from flask.testing import FlaskClient

from core import jobs, segment_texts
from core.db import reading, transaction
from core.models import SegmentRow, TranscriptJob
from core.states import JobStatus
from tests.unit.test_speaker_names import transcript
from transcribe_api.app import create_app
from transcribe_api.schemas.results import LONGEST_TEXT

pytestmark = pytest.mark.usefixtures("database")

RESULT = "/api/transcribe/jobs/result"


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def url(job: TranscriptJob, position: object = 0) -> str:
    return f"/api/transcribe/transcripts/{job.transcript_id}/segments/{position}"


def segments(browser: FlaskClient, job: TranscriptJob) -> list[dict]:
    return browser.get(f"{RESULT}/{job.job_id}").json["segments"]


def test_a_segment_gets_another_text_and_its_own_back(browser: FlaskClient):
    job = transcript(0, 1)
    before = segments(browser, job)
    answer = browser.patch(url(job, 1), json={"text": "  Hello  there.", "former": "Hello."})
    assert answer.status_code == 200
    assert answer.json == {
        "start": 1.0,
        "end": 2.0,
        "text": "Hello there.",
        "speaker_tag": 1,
        "confidence": 0.9,
        "words": [
            {"word": "Hello", "start": 1.0, "end": 2.0, "confidence": 0.9, "speaker_tag": 1},
            {"word": "there.", "start": 2.0, "end": 2.0, "confidence": None, "speaker_tag": 1},
        ],
        "edited": True,
    }
    assert segments(browser, job) == [before[0], answer.json]
    assert browser.patch(url(job, 1), json={"text": "Hello."}).json == before[1]
    assert segments(browser, job) == before


def test_every_format_shows_what_was_typed(browser: FlaskClient):
    job = transcript(0, 1)
    browser.patch(url(job), json={"text": "Good morning"})
    for form in ("srt", "vtt", "txt", "tsv", "json"):
        text = browser.get(f"{RESULT}/{job.job_id}/{form}").text
        assert "Good morning" in text
        assert text.count("Hello.") == (2 if form == "json" else 1)  # its word says it again


def test_where_nothing_was_said_no_format_shows_a_segment(browser: FlaskClient):
    job = transcript(0, 1)
    told = browser.patch(url(job), json={"text": " "}).json
    assert (told["text"], told["words"], told["confidence"]) == ("", [], None)
    for form in ("srt", "vtt", "txt", "tsv", "rttm"):
        text = browser.get(f"{RESULT}/{job.job_id}/{form}").text
        assert "SPEAKER_01" in text
        assert "SPEAKER_00" not in text
    assert browser.get(f"{RESULT}/{job.job_id}/docx").status_code == 200
    assert browser.patch(url(job), json={"text": "Hello."}).json["words"][0]["end"] == 1.0


def test_who_saw_another_text_is_told_what_it_says_now(browser: FlaskClient):
    job = transcript(0)
    browser.patch(url(job), json={"text": "Goodbye.", "former": "Hello."})
    late = browser.patch(url(job), json={"text": "Hi.", "former": "Hello."})
    assert (late.status_code, late.json["code"]) == (409, "changed_meanwhile")
    assert late.json["text"] == "Goodbye."
    assert segments(browser, job)[0]["text"] == "Goodbye."
    assert browser.patch(url(job), json={"text": "Hi.", "former": "Goodbye."}).status_code == 200


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "text"),
        ({"text": None}, "text"),
        ({"text": 5}, "text"),
        ({"text": "two\nlines"}, "text"),
        ({"text": "a\u0007b"}, "text"),
        ({"text": "x" * (LONGEST_TEXT + 1)}, "text"),
        ({"text": "Hi.", "former": 1}, "former"),
        ({"text": "Hi.", "start": 1}, "start"),
    ],
)
def test_a_wrong_body_names_its_field_and_changes_nothing(
    browser: FlaskClient, body: dict, field: str
):
    job = transcript(0)
    answer = browser.patch(url(job), json=body)
    assert (answer.status_code, answer.json["field"]) == (422, field)
    assert segments(browser, job)[0]["text"] == "Hello."


@pytest.mark.parametrize(
    ("position", "status"),
    [(1, 404), (999_999_999, 404), ("-1", 422), ("one", 422), ("1" * 10, 422)],
)
def test_a_segment_is_unknown_or_its_place_is_none(
    browser: FlaskClient, position: object, status: int
):
    answer = browser.patch(url(transcript(0), position), json={"text": "Hi."})
    assert answer.status_code == status
    assert answer.json.get("field") == ("position" if status == 422 else None)


def test_texts_are_changed_when_they_are_known(browser: FlaskClient):
    answer = browser.patch(url(transcript(0, status=JobStatus.PROCESSING)), json={"text": "Hi."})
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert answer.json["job_status"] == "processing"


def test_a_transcript_of_another_is_not_there():
    job = transcript(0)
    with transaction() as session, pytest.raises(segment_texts.NotFound):
        segment_texts.change(session, job.transcript_id, 0, "Hi.", of=uuid.uuid4())


def heard(start: float, text: str, speaker: int | None) -> dict:
    """A segment of one word, as a merge has it."""
    word = {"word": text, "start": start, "end": start + 1, "confidence": 0.9}
    return {
        "start": start, "end": start + 1, "text": text, "speaker_tag": speaker, "confidence": 0.9,
        "words": [{**word, "speaker_tag": speaker}],
    }  # fmt: skip


def test_when_the_job_is_done_again_texts_stay_where_the_same_words_are_heard(
    browser: FlaskClient,
):
    job = transcript(0, 0, 0)
    for position in range(3):
        browser.patch(url(job, position), json={"text": f"Typed {position}"})
    new = [heard(-1.0, "Now.", 0), heard(0.0, "Hello.", 1), heard(1.0, "Hollow.", 1)]
    with transaction() as session:
        found = jobs.get(session, job.job_id).transcript
        lost = segment_texts.keep(session, found, new)
    assert [one["text"] for one in new] == ["Now.", "Typed 0", "Hollow."]
    assert [word["speaker_tag"] for word in new[1]["words"]] == [1, 1]
    assert new[1]["heard_words"] == heard(0.0, "Hello.", 1)["words"]
    assert lost == [
        f"the text 'Typed {at}', typed at {at}.0 s, was taken away: other words are heard there now"
        for at in (1, 2)
    ]


def test_rows_without_an_edit_hold_no_second_copy_of_their_words():
    job = transcript(0)
    with reading() as session:
        row = session.get_one(SegmentRow, (job.transcript_id, 0))
        assert row.heard_words is None
