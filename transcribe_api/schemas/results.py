"""Results: transcripts, subtitle layout, and artefacts."""

from __future__ import annotations

from typing import Annotated, Any
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StringConstraints,
)

from core.errors import InvalidInput
from core.json_fields import EXAMPLE_ID, Absent, Confidence, Moment, Seconds
from core.states import JobStatus
from tasks.reporting.job_state import ResultWarning
from transcribe_api.http.requests.json_bodies import PRINTABLE_LINE, Body, check_one_line

_SPEAKER = Field(ge=0, description="Number of the speaker; null without diarization.")


class TranscribedWord(BaseModel):
    """A word, with the engine's punctuation."""

    word: str = Field(examples=["Hello."])
    start: Seconds = Field(description="Seconds from the start of the recording.")
    end: Seconds
    confidence: Confidence | None = Field(description="Null if the engine returns none.")
    space_before: bool | Absent = Field(
        default=None,
        description="Whether a space precedes the word; absent if the rule of the script applies.",
    )


class ResultWord(TranscribedWord):
    """A word and its speaker."""

    speaker_tag: int | None = _SPEAKER


class ResultSegment(BaseModel):
    """Consecutive speech of one speaker, about a sentence."""

    start: Seconds = Field(description="Seconds from the start of the recording.")
    end: Seconds
    text: str = Field(examples=["Hello."])
    speaker_tag: int | None = _SPEAKER
    confidence: Confidence | None = Field(description="Mean confidence of the words.")
    words: list[ResultWord]
    edited: bool | Absent = Field(
        default=None,
        description="True if text or speaker was edited; otherwise absent.",
    )


#: Maximum characters of a segment's text: ten times what an engine writes.
MAX_TEXT_LENGTH = 5000

_Text = Annotated[
    str,
    StringConstraints(max_length=MAX_TEXT_LENGTH),
    AfterValidator(check_one_line),
    Field(json_schema_extra={"pattern": PRINTABLE_LINE}),
]


def _convert_whole_float(value: object) -> object:
    """Convert 1.0 to 1, since they are the same number in JSON."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


_Number = Annotated[int, Field(ge=0), BeforeValidator(_convert_whole_float)]


class SegmentChange(Body):
    """New text for a segment, a new speaker, or both."""

    model_config = ConfigDict(
        json_schema_extra={"anyOf": [{"required": ["text"]}, {"required": ["speaker_tag"]}]}
    )

    text: _Text = Field(
        default="",
        description="On one line; empty if nothing was said.",
        examples=["Hello there."],
    )
    speaker_tag: _Number | None = Field(
        default=None,
        description="A speaker of the transcript, or the highest number plus one for a new "
        "speaker; null for an unknown speaker.",
        examples=[1],
    )
    former: _Text | None = Field(
        default=None,
        description="The expected current text; null matches any.",
        examples=["Hello dare."],
    )
    former_speaker_tag: _Number | None = Field(
        default=None,
        description="The expected current speaker, null for unknown; if omitted, any speaker "
        "matches.",
        examples=[0],
    )

    @property
    def changes(self) -> dict[str, Any]:
        """Return the columns to change. Raises `InvalidInput` if there are none."""
        if not self.model_fields_set & {"text", "speaker_tag"}:
            raise InvalidInput("text: send a text, a speaker_tag, or both", field="text")
        return self.model_dump(include={"text", "speaker_tag"}, exclude_unset=True)

    @property
    def expected(self) -> dict[str, Any]:
        """Return the former values that the caller stated."""
        values: dict[str, Any] = {} if self.former is None else {"text": self.former}
        if "former_speaker_tag" in self.model_fields_set:
            values["speaker_tag"] = self.former_speaker_tag
        return values


class RangeHeaders(BaseModel):
    """Headers of a player that jumps to a position."""

    range_: str | Absent = Field(
        default=None, alias="Range", description="A part of the file: `bytes=0-99`."
    )
    if_range: str | Absent = Field(
        default=None,
        alias="If-Range",
        description="An `ETag`; if it does not match, the whole file is returned.",
    )


class Result(BaseModel):
    """A whole transcript."""

    job_id: UUID = Field(examples=[EXAMPLE_ID])
    transcript_id: UUID
    status: JobStatus
    filename: str = Field(examples=["meeting.mp3"])
    audio_url: str | None = Field(
        description="URL of the recording, valid for an hour. Null if the recording was removed."
    )
    language: str | None = Field(examples=["en-US"])
    duration: Seconds | None = Field(description="Seconds of the recording.", examples=[125.5])
    segments: list[ResultSegment]
    speaker_roles: dict[str, str | None] = Field(
        description="By speaker number, null if unknown. Empty unless the job's context has roles.",
        examples=[{"0": "provider", "1": "patient"}],
    )
    speaker_role_scores: dict[str, Confidence] = Field(
        description="Confidence of each speaker's likeliest role, whether it is assigned or not.",
        examples=[{"0": 0.983, "1": 0.965}],
    )
    speaker_names: dict[str, str] = Field(
        description="By speaker number.", examples=[{"0": "Dr. Smith"}]
    )
    warnings: list[ResultWarning] = Field(description="Warnings about the transcript.")
    created_at: Moment
    completed_at: Moment | None


class LayoutQuery(BaseModel):
    """Line layout of `srt` and `vtt`; not allowed for other formats."""

    max_line_length: int = Field(
        default=42,
        ge=10,
        le=200,
        description="Columns; a full-width character, such as a Chinese one, takes two.",
    )
    max_lines: int = Field(default=2, ge=1, le=5, description="Lines shown at a time.")
    max_cps: float = Field(
        default=20, ge=5, le=100, description="Maximum reading speed in columns per second."
    )
    # The maximum of one is the minimum of the other, so any two values are compatible.
    min_duration: float = Field(
        default=1, ge=0, le=2, description="Seconds; less where the next cue follows sooner."
    )
    max_duration: float = Field(default=7, ge=2, le=30, description="Seconds.")
    gap: float = Field(default=0, ge=0, le=0.5, description="Minimum seconds between two cues.")
    speaker_labels: bool = Field(default=True, description="Whether to include speaker labels.")


class Artefacts(BaseModel):
    """The artefacts of a job in storage."""

    artefacts: list[str] = Field(examples=[["chunks/chunk_0000.wav", "transcription.srt"]])
