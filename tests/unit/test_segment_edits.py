"""Texts and speakers of segments: changed over REST, shown by every format, kept in another try."""

from __future__ import annotations

import io
import uuid
import zipfile

import pytest
from flask.testing import FlaskClient

from core.db.models import SegmentRow, TranscriptJob
from core.db.transactions import read_session, transaction
from core.edits import segment_edits, speaker_numbers
from core.jobs import lifecycle
from core.states import JobStatus
from tests.factories.transcripts import create_transcript
from transcribe_api.app import create_app
from transcribe_api.schemas.results import MAX_TEXT_LENGTH

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
    job = create_transcript(0, 1)
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
    job = create_transcript(0, 1)
    browser.patch(url(job), json={"text": "Good morning"})
    for form in ("srt", "vtt", "txt", "tsv", "json"):
        text = browser.get(f"{RESULT}/{job.job_id}/{form}").text
        assert "Good morning" in text
        assert text.count("Hello.") == (2 if form == "json" else 1)  # its word says it again


def test_where_nothing_was_said_no_format_shows_a_segment(browser: FlaskClient):
    job = create_transcript(0, 1)
    told = browser.patch(url(job), json={"text": " "}).json
    assert (told["text"], told["words"], told["confidence"]) == ("", [], None)
    for form in ("srt", "vtt", "txt", "tsv", "rttm"):
        text = browser.get(f"{RESULT}/{job.job_id}/{form}").text
        assert "SPEAKER_01" in text
        assert "SPEAKER_00" not in text
    assert browser.get(f"{RESULT}/{job.job_id}/docx").status_code == 200
    assert browser.patch(url(job), json={"text": "Hello."}).json["words"][0]["end"] == 1.0


def test_who_saw_another_text_is_told_what_it_says_now(browser: FlaskClient):
    job = create_transcript(0)
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
        ({"former": "Hello."}, "text"),
        ({"text": 5}, "text"),
        ({"text": "two\nlines"}, "text"),
        ({"text": "a\u0007b"}, "text"),
        ({"text": "x" * (MAX_TEXT_LENGTH + 1)}, "text"),
        ({"text": "Hi.", "former": 1}, "former"),
        ({"text": "Hi.", "start": 1}, "start"),
        ({"speaker_tag": -1}, "speaker_tag"),
        ({"speaker_tag": "1"}, "speaker_tag"),
        ({"speaker_tag": 1.5}, "speaker_tag"),
        ({"speaker_tag": True}, "speaker_tag"),
        ({"speaker_tag": 2}, "speaker_tag"),
        ({"text": "Hi.", "speaker_tag": 10**30}, "speaker_tag"),
        ({"speaker_tag": 1, "former_speaker_tag": "0"}, "former_speaker_tag"),
    ],
)
def test_a_wrong_body_names_its_field_and_changes_nothing(
    browser: FlaskClient, body: dict, field: str
):
    job = create_transcript(0)
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
    answer = browser.patch(url(create_transcript(0), position), json={"text": "Hi."})
    assert answer.status_code == status
    assert answer.json.get("field") == ("position" if status == 422 else None)


def test_texts_are_changed_when_they_are_known(browser: FlaskClient):
    answer = browser.patch(
        url(create_transcript(0, status=JobStatus.PROCESSING)), json={"text": "Hi."}
    )
    assert (answer.status_code, answer.json["code"]) == (409, "conflict")
    assert answer.json["job_status"] == "processing"


def test_a_transcript_of_another_is_not_there():
    job = create_transcript(0)
    with transaction() as session, pytest.raises(segment_edits.NotFound):
        segment_edits.edit_segment(
            session, job.transcript_id, 0, {"text": "Hi."}, owner_id=uuid.uuid4()
        )


def test_a_segment_gets_another_speaker_and_its_own_back(browser: FlaskClient):
    job = create_transcript(0, 1)
    before = segments(browser, job)
    answer = browser.patch(url(job, 1), json={"speaker_tag": 0, "former_speaker_tag": 1})
    assert answer.status_code == 200
    assert answer.json == {
        **before[1],
        "speaker_tag": 0,
        "words": [{**before[1]["words"][0], "speaker_tag": 0}],
        "edited": True,
    }
    assert segments(browser, job) == [before[0], answer.json]
    # Nobody is speaker 1 now, but the diarizer has heard him.
    assert browser.patch(url(job, 1), json={"speaker_tag": 1}).json == before[1]


def test_text_and_speaker_are_changed_together_or_one_by_one(browser: FlaskClient):
    job = create_transcript(0, 1)
    browser.patch(url(job), json={"text": "Good morning.", "speaker_tag": 1})
    told = browser.patch(url(job), json={"speaker_tag": None}).json
    assert (told["text"], told["speaker_tag"]) == ("Good morning.", None)
    assert [word["speaker_tag"] for word in told["words"]] == [None, None]
    told = browser.patch(url(job), json={"text": "Hello."}).json
    assert (told["text"], told["speaker_tag"], told["edited"]) == ("Hello.", None, True)
    assert "edited" not in browser.patch(url(job), json={"speaker_tag": 0}).json


def test_somebody_new_has_the_next_number_and_may_be_named(browser: FlaskClient):
    job = create_transcript(0, 1)
    refused = browser.patch(url(job), json={"speaker_tag": 3}).json
    assert "there are: 0, 1; a new speaker is 2" in refused["detail"]
    assert browser.patch(url(job), json={"speaker_tag": 2}).json["speaker_tag"] == 2
    names = f"/api/transcribe/transcripts/{job.transcript_id}/speakers"
    shown = browser.patch(names, json={"names": {"2": "Ana"}}).json["names"]
    assert shown == {"1": "SPEAKER_01", "2": "Ana"}


def test_where_nobody_was_told_apart_the_first_is_0(browser: FlaskClient):
    job = create_transcript(None, None)
    assert "there are: none" in browser.patch(url(job), json={"speaker_tag": 1}).json["detail"]
    assert browser.patch(url(job), json={"speaker_tag": 0}).json["speaker_tag"] == 0
    assert browser.patch(url(job, 1), json={"speaker_tag": 1}).json["speaker_tag"] == 1


def test_every_format_shows_who_is_said_to_speak(browser: FlaskClient):
    job = create_transcript(0, 1)
    browser.patch(url(job), json={"speaker_tag": 2})
    for form in ("srt", "vtt", "txt", "tsv", "rttm"):
        text = browser.get(f"{RESULT}/{job.job_id}/{form}").text
        assert "SPEAKER_02" in text
        assert "SPEAKER_00" not in text
    word = zipfile.ZipFile(io.BytesIO(browser.get(f"{RESULT}/{job.job_id}/docx").data))
    text = word.read("word/document.xml").decode()
    assert "SPEAKER_02" in text
    assert "SPEAKER_00" not in text


def test_who_saw_another_speaker_is_told_who_it_is_now(browser: FlaskClient):
    job = create_transcript(0, 1)
    browser.patch(url(job), json={"speaker_tag": None, "former_speaker_tag": 0})
    late = browser.patch(url(job), json={"speaker_tag": 1, "former_speaker_tag": 0})
    assert (late.status_code, late.json["code"]) == (409, "changed_meanwhile")
    assert (late.json["text"], late.json["speaker_tag"]) == ("Hello.", None)
    assert segments(browser, job)[0]["speaker_tag"] is None
    late = {"text": "Hi.", "former": "Hello.", "former_speaker_tag": None}
    assert browser.patch(url(job), json=late).status_code == 200


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
    job = create_transcript(0, 0, 0)
    for position in range(3):
        browser.patch(url(job, position), json={"text": f"Typed {position}"})
    new = [heard(-1.0, "Now.", 0), heard(0.0, "Hello.", 1), heard(1.0, "Hollow.", 1)]
    with transaction() as session:
        found = lifecycle.get_job(session, job.job_id).transcript
        lost = segment_edits.reapply_edits(session, found, new, {0: 1})
    assert [one["text"] for one in new] == ["Now.", "Typed 0", "Hollow."]
    assert [word["speaker_tag"] for word in new[1]["words"]] == [1, 1]
    assert new[1]["heard_words"] == heard(0.0, "Hello.", 1)["words"]
    assert [(one.start, one.sentence) for one in lost] == [
        (at, f"the text 'Typed {at}' was removed: this place has other words now") for at in (1, 2)
    ]


def done_again(job: TranscriptJob, *speakers: int | None, text: str = "Hello.") -> list[str]:
    """Who is shown when the same words are heard again, and these are heard to say them."""
    new = [heard(float(at), text, speaker) for at, speaker in enumerate(speakers)]
    with transaction() as session:
        found = lifecycle.get_job(session, job.job_id).transcript
        numbers = speaker_numbers.carry_numbers(session, found, new)
        lost = segment_edits.reapply_edits(session, found, new, numbers)
    assert all(word["speaker_tag"] == one["speaker_tag"] for one in new for word in one["words"])
    return [
        *("?" if one["speaker_tag"] is None else str(one["speaker_tag"]) for one in new),
        *(one.sentence for one in lost),
    ]


ELSEWHERE = "the assigned speaker was removed: this place has other words now"
NOT_FOUND = "the assigned speaker was removed: the speaker was not detected again"


@pytest.mark.parametrize(
    ("given", "again", "shown"),
    [
        pytest.param(0, "01110", "00110", id="numbers are as they were"),
        pytest.param(0, "10001", "11001", id="numbers are others"),
        pytest.param(None, "01110", "0?110", id="nobody stays nobody"),
        pytest.param(2, "01110", "02110", id="somebody new stays so"),
        pytest.param(2, "00000", "01000", id="... with a number that is free"),
        pytest.param(2, "01220", "01220", id="... or is found by the diarizer"),
        pytest.param(0, "00110", "00110", id="the diarizer says so too now"),
    ],
)
def test_when_the_job_is_done_again_a_speaker_stays_with_what_he_says(
    browser: FlaskClient, given: int | None, again: str, shown: str
):
    job = create_transcript(0, 1, 1, 1, 0)
    browser.patch(url(job, 1), json={"speaker_tag": given})
    assert done_again(job, *map(int, again)) == [*shown]


def test_when_nobody_is_told_apart_any_more_a_speaker_is_not_found(browser: FlaskClient):
    job = create_transcript(0, 1)
    browser.patch(url(job, 1), json={"speaker_tag": 0})
    assert done_again(job, None, None) == ["?", "?", NOT_FOUND]


def test_when_the_job_is_done_again_a_speaker_goes_with_other_words(browser: FlaskClient):
    job = create_transcript(0, 1)
    browser.patch(url(job, 1), json={"speaker_tag": 0})
    assert done_again(job, 0, 1, text="Hollow.") == ["0", "1", ELSEWHERE]


def test_two_speakers_who_are_one_stay_one_when_the_job_is_done_again(browser: FlaskClient):
    job = create_transcript(0, 1, 1, 0, 1)
    for position in (1, 2, 4):
        browser.patch(url(job, position), json={"speaker_tag": 0})
    assert done_again(job, 0, 1, 1, 0, 1) == ["0"] * 5


def test_rows_without_an_edit_hold_no_second_copy_of_their_words():
    job = create_transcript(0)
    with read_session() as session:
        row = session.get_one(SegmentRow, (job.transcript_id, 0))
        assert row.heard_words is None
