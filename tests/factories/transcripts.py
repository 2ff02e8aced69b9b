"""Transcripts: segments that were never spoken, as values and in the database."""

from __future__ import annotations

import uuid

from hypothesis import strategies as st

from core.db.models import SegmentRow, TranscriptJob
from core.db.transactions import transaction
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.states import JobStatus
from transcripts.types import Segment, Word

#: Seconds.
HOUR = 3600.0
#: Words, among them such as break a format that does not escape them.
TEXTS = st.one_of(
    st.sampled_from(
        ["so", "well,", "yes.", "-->", "a --> b", "extraordinarily", "", "\n\n", "x" * 90]
    ),
    st.text(max_size=12),
)


def build_segment(
    text: str, start: float = 0.0, *, speaker: int | None = 0, pace: float = 0.4
) -> Segment:
    """Build a segment whose words follow each other, *pace* seconds each."""
    words = tuple(
        Word(word, start + at * pace, start + (at + 1) * pace, 0.9, speaker)
        for at, word in enumerate(text.split())
    )
    return Segment(words, speaker)


@st.composite
def draw_segments(draw: st.DrawFn) -> list[Segment]:
    """Draw the segments of a transcript: at any time, by any speaker, also at the same time."""
    segments, now = [], draw(st.sampled_from([0.0, 59.9996, HOUR, 30 * HOUR]))
    for _ in range(draw(st.integers(0, 6))):
        speaker = draw(st.sampled_from([None, 0, 1]))
        words = []
        for text in draw(st.lists(TEXTS, min_size=1, max_size=25)):
            now += draw(st.sampled_from([0.0, 0.0, 0.1, 0.7]))
            end = now + draw(st.sampled_from([0.0, 0.0004, 0.3, 0.9, 9.0]))
            words.append(Word(text, now, end, None, speaker))
            # Sometimes people talk at the same time.
            now = end if draw(st.booleans()) else now
        segments.append(Segment(tuple(words), speaker))
    return segments


def create_transcript(
    *speakers: int | None, status: JobStatus = JobStatus.COMPLETED
) -> TranscriptJob:
    """Record a job with a transcript in which each of them says a sentence."""
    job_id = str(uuid.uuid4())
    spec = JobSpec(engine="sphinx", diarizer="classic")
    with transaction() as session:
        job = lifecycle.accept_job(
            session, job_id, spec, filename="a.wav", audio_bytes=1, audio_sha256="0" * 64
        )
        job.run.status = job.transcript.status = status
        for position, speaker in enumerate(speakers):
            session.add(_build_row(job.transcript.id, position, speaker))
    return job


def _build_row(transcript_id: uuid.UUID, position: int, speaker: int | None) -> SegmentRow:
    word = {"word": "Hello.", "start": position, "end": position + 1.0, "confidence": 0.9}
    return SegmentRow(
        transcript_id=transcript_id,
        position=position,
        start=position,
        end=position + 1.0,
        text="Hello.",
        speaker_tag=speaker,
        confidence=0.9,
        words=[{**word, "speaker_tag": speaker}],
    )


def list_texts(result: dict) -> list[tuple[str, int | None]]:
    """List text and speaker of each segment of a result that the service sent."""
    return [(one["text"], one["speaker_tag"]) for one in result["segments"]]
