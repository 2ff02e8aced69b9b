"""Word documents: written by us, read back by the library."""

from __future__ import annotations

import io
import subprocess
import sys
from datetime import UTC, datetime

import pytest
from docx import Document

from tests.factories.transcripts import create_transcript
from transcribe_api.app import create_app
from transcripts import formats
from transcripts.types import Segment, Word

MADE = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)


def said(start: float, speaker: int | None, *words: str) -> Segment:
    """A word a second."""
    return Segment(
        tuple(Word(text, start + at, start + at + 1) for at, text in enumerate(words)), speaker
    )


def written(*segments: Segment, title: str = "talk.mp3", names: dict[int, str] | None = None):
    return Document(io.BytesIO(formats.docx(segments, title, MADE, names=names)))


def test_title_and_a_paragraph_for_all_that_a_speaker_says_in_a_row():
    document = written(
        said(0, 0, "Good", "morning."),
        said(2, 0, "Sit", "down."),
        said(4, 1, "Thank", "you."),
        said(3661, None, "Bye."),
        said(3662, 0, "Bye."),
        names={1: "Dr. Smith"},
    )
    title, *paragraphs = document.paragraphs
    assert (title.text, title.style.name) == ("talk.mp3", "Title")
    assert [paragraph.text for paragraph in paragraphs] == [
        "SPEAKER_00 00:00:00\nGood morning. Sit down.",
        "Dr. Smith 00:00:04\nThank you.",
        "01:01:01\nBye.",
        "SPEAKER_00 01:01:02\nBye.",
    ]
    for paragraph in paragraphs:
        assert [bool(run.bold) for run in paragraph.runs] == [True, False]


def test_a_document_of_silence_is_its_title():
    assert [paragraph.text for paragraph in written().paragraphs] == ["talk.mp3"]


def test_what_xml_cannot_hold_is_left_out():
    bad = "".join(map(chr, [0, 7, 0x1B, 0x7F, 0x85, 0xD800, 0xFFFE, 0xFFFF]))
    document = written(
        said(0, 0, f"a{bad}b", "<&>", "\U0001f600", "c\td\ne"),
        title=f"t{bad}itle\n2",
        names={0: f"Dr.{bad}\tX"},
    )
    title, paragraph = document.paragraphs
    assert title.text.replace(" ", "") == "title2"
    assert paragraph.text.splitlines()[0].split() == ["Dr.", "X", "00:00:00"]
    assert paragraph.text.splitlines()[1].split() == ["a", "b", "<&>", "\U0001f600", "c", "d", "e"]


def test_the_properties_tell_of_the_transcript_and_not_of_a_template():
    properties = written(title="x" * 300).core_properties
    assert properties.title == "x" * 255
    assert (properties.author, properties.comments) == ("", "")
    assert properties.created == properties.modified == MADE


def test_who_writes_no_word_document_does_not_load_the_library():
    code = "import sys, transcribe_api.http.responses.rendering; sys.exit('docx' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.usefixtures("database")
def test_a_result_is_fetched_as_a_word_document():
    job = create_transcript(0, 1)
    browser = create_app().test_client()
    names = {"names": {"1": "Dr. Smith"}}
    browser.patch(f"/api/transcribe/transcripts/{job.transcript_id}/speakers", json=names)
    answer = browser.get(f"/api/transcribe/jobs/result/{job.job_id}/docx")
    assert answer.status_code == 200
    assert answer.content_type.endswith("wordprocessingml.document")
    assert answer.headers["Content-Disposition"] == "attachment; filename=transcription.docx"
    texts = [paragraph.text for paragraph in Document(io.BytesIO(answer.data)).paragraphs]
    assert texts == ["a.wav", "SPEAKER_00 00:00:00\nHello.", "Dr. Smith 00:00:01\nHello."]
