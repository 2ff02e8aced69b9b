"""The supported part of OpenAI's audio API."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field, RootModel

from core.json_fields import Absent, Seconds
from transcribe_api.http.responses import openai_formats
from transcribe_api.schemas.common import Recording, build_enum
from transcribe_api.submission import openai_models


class TranscriptionForm(BaseModel):
    """OpenAI's request. Their fields that are not listed here have no effect."""

    file: Recording
    model: str = Field(
        description="One of `GET /v1/models`; OpenAI's model names select the default engine.",
        examples=["whisper-1", *openai_models.list_models()[:1]],
    )
    language: str | Absent = Field(default=None, examples=["en"])
    prompt: str | Absent = Field(default=None, description="The same as `initial_prompt`.")
    track: str | Absent = Field(
        default=None, description="The same as `track` of a job: a number, a language, or `all`."
    )
    response_format: str | Absent = Field(
        default=None, json_schema_extra=build_enum(lambda: openai_formats.MEDIA_TYPES)
    )
    timestamp_granularities: list[str] | Absent = Field(
        default=None,
        alias="timestamp_granularities[]",
        description="For `verbose_json`: `segment`, `word`, or both.",
    )
    stream: bool | Absent = Field(default=None, description="Send the text during transcription.")


class Usage(BaseModel):
    """Amount of audio that was processed."""

    type: Literal["duration"]
    seconds: Seconds


class PlainTranscription(BaseModel):
    """`json`."""

    text: str
    usage: Usage


class VerboseSegment(BaseModel):
    """A segment in Whisper's form; fields that engines do not report have neutral values."""

    id: int
    seek: int
    start: Seconds
    end: Seconds
    text: str
    tokens: list[int]
    temperature: float
    avg_logprob: float
    compression_ratio: float
    no_speech_prob: float


class VerboseWord(BaseModel):
    """A word with its times."""

    word: str
    start: Seconds
    end: Seconds


class VerboseTranscription(BaseModel):
    """`verbose_json`."""

    task: Literal["transcribe"]
    language: str = Field(description="Two or three letters.")
    duration: Seconds
    text: str
    usage: Usage
    segments: list[VerboseSegment] | Absent = None
    words: list[VerboseWord] | Absent = None


class SpeakerSegment(BaseModel):
    """A segment with its speaker."""

    type: Literal["transcript.text.segment"]
    id: str
    start: Seconds
    end: Seconds
    text: str
    speaker: str = Field(description="A capital letter, or the assigned name.")


class DiarizedTranscription(BaseModel):
    """`diarized_json`."""

    task: Literal["transcribe"]
    duration: Seconds
    text: str
    segments: list[SpeakerSegment]
    usage: Usage


class TranscriptionResponse(
    RootModel[PlainTranscription | VerboseTranscription | DiarizedTranscription]
):
    """The transcript, in the requested format."""


class TranscriptionEvent(BaseModel):
    """A line of the stream: `transcript.text.delta`, `.segment` and finally `.done`."""

    data: str = Field(description="JSON with `type`, and `delta`, a segment, or the whole `text`.")


class Model(BaseModel):
    """An engine, or one of its models."""

    id: str
    object: Literal["model"]
    created: int
    owned_by: str


class Models(BaseModel):
    """Models that can be used now."""

    object: Literal["list"]
    data: list[Model]


class OpenaiError(BaseModel):
    """The error, and what is allowed."""

    message: str
    type: str
    param: str | None
    code: str | None


class OpenaiProblem(BaseModel):
    """An error in OpenAI's form."""

    error: OpenaiError
