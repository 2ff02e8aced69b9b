"""Jobs: submission, lists and state."""

from __future__ import annotations

from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, Json

from core import safe_http
from core.json_fields import EXAMPLE_ID, Absent, Moment, Seconds
from core.states import Channels, JobStatus, Priority, Redo
from engines import catalog
from tasks.reporting.job_state import Failure, JobState, ResultWarning
from transcribe_api.http.requests import parsing
from transcribe_api.http.requests.json_bodies import Body
from transcribe_api.schemas.common import NextCursor, PageQuery, Recording, build_enum
from transcribe_api.schemas.results import TranscribedWord
from transcribe_api.submission import sources

_Language = Annotated[str, Field(pattern=rf"^{parsing.LANGUAGE_PATTERN.pattern}$")]
_Track = Annotated[str, Field(pattern=rf"^({parsing.TRACK_PATTERN.pattern})$")]
_Speakers = Annotated[int, Field(ge=1, le=parsing.MAX_SPEAKERS)]
_Key = Annotated[str, Field(pattern=r"^[!-~]{1,255}$")]


def _list_whisperx_models() -> tuple[str, ...]:
    return catalog.list_models(catalog.WHISPERX)


def _list_models() -> list[str]:
    names = [
        model for spec in catalog.recognizers().values() for model in catalog.list_models(spec)
    ]
    return list(dict.fromkeys(names))


def _require_one_recording(schema: dict[str, Any]) -> None:
    schema["oneOf"] = [{"required": [field]} for field in sources.FIELDS]


class EngineForm(BaseModel):
    """A recording and its options. An empty field counts as not sent."""

    model_config = ConfigDict(json_schema_extra=_require_one_recording)

    file: Recording | Absent = None
    source_url: str | Absent = Field(
        default=None,
        max_length=sources.MAX_URL_LENGTH,
        description="Public URL from which a worker downloads the recording instead.",
        examples=["https://example.org/call.mp3"],
    )
    source_key: str | Absent = Field(
        default=None,
        description="Key of an object in the service's storage, under `SOURCE_PREFIX`.",
        examples=["incoming/call.mp3"],
    )
    language: _Language | Absent = Field(
        default=None,
        description="A language tag that the engine supports, or `auto` to detect the language.",
        examples=["en-US"],
    )
    initial_prompt: str | Absent = Field(
        default=None,
        max_length=parsing.MAX_PROMPT_LENGTH,
        description="Prompt for each window of a Whisper engine: names, spelling, script.",
        examples=["A talk of Dr. Okonkwo about spirometry."],
    )
    diarizer: str | Absent = Field(
        default=None,
        description="Detects the speakers; default: `auto`, the best available.",
        json_schema_extra=build_enum(
            lambda: [catalog.AUTO, *catalog.diarizers(), parsing.NO_DIARIZER]
        ),
    )
    enable_diarization: bool | Absent = Field(
        default=None, description="`false` is the same as the diarizer `none`."
    )
    min_speakers: _Speakers | Absent = Field(
        default=None, description="Minimum number of speakers."
    )
    max_speakers: _Speakers | Absent = Field(
        default=None, description="Maximum number of speakers."
    )
    channels: Channels | Absent = Field(
        default=None,
        description="`separate`: each channel is a speaker, and no diarizer is used unless all "
        "channels carry the same signal. Default: `mix`.",
    )
    track: _Track | Absent = Field(
        default=None,
        description="Of a recording with several audio tracks: the number of one, counted from 1, "
        "its language, or `all`. Default: the default track, unless it is silent; with "
        "`channels=separate`, each track is a speaker.",
        examples=["2", "en", "all"],
    )
    priority: Priority | Absent = Field(default=None, description="Default: `normal`.")
    session_id: UUID | Absent = Field(
        default=None, description="Groups the transcript; the session need not exist here."
    )
    context_id: UUID | Absent = Field(
        default=None, description="Expected terms, for engines that support them."
    )
    callback_url: str | Absent = Field(
        default=None,
        max_length=safe_http.MAX_URL_LENGTH,
        description="Public URL to which a signed webhook is sent by POST when the job ends.",
        examples=["https://example.org/hook"],
    )


class WhisperxForm(EngineForm):
    """A recording and its options. An empty field counts as not sent."""

    model: str | Absent = Field(
        default=None,
        description="Default: `WHISPERX_DEFAULT_MODEL`.",
        json_schema_extra=build_enum(_list_whisperx_models),
    )


class JobForm(EngineForm):
    """A recording, the engine and other options. An empty field counts as not sent."""

    model: str | Absent = Field(
        default=None,
        description="For engines with several models.",
        json_schema_extra=build_enum(_list_models),
    )
    engine: str | Absent = Field(
        default=None,
        description="Default: `DEFAULT_TRANSCRIPTION_ENGINE`; `auto`: the best available.",
        json_schema_extra=build_enum(lambda: [catalog.AUTO, *catalog.recognizers()]),
    )


class SubmissionHeaders(BaseModel):
    """Headers of a submission."""

    idempotency_key: _Key | Absent = Field(
        default=None,
        alias="Idempotency-Key",
        description="Your identifier of the request: sent twice, it creates one job.",
    )


class StreamQuery(BaseModel):
    """Query of a stream, since `EventSource` cannot send additional headers."""

    access_token: str | Absent = Field(default=None, description="In place of a key.")


class StreamHeaders(BaseModel):
    """Headers that a browser sends when it reconnects."""

    last_event_id: str | Absent = Field(
        default=None,
        alias="Last-Event-ID",
        description="Id of the last received event; the stream continues after it.",
    )


class JobsQuery(PageQuery):
    """Filters for jobs, and page of the list."""

    status: JobStatus | Absent = Field(default=None, description="Only jobs in this state.")
    engine: str | Absent = Field(
        default=None,
        description="Only jobs of this engine.",
        json_schema_extra=build_enum(catalog.recognizers),
    )
    session_id: UUID | Absent = Field(default=None, description="Only jobs of this session.")


class RetryQuery(BaseModel):
    """What to repeat, and new options for the speakers."""

    stage: Redo | Absent = Field(
        default=None,
        description="Stage to repeat before the transcript is merged; default: what failed.",
    )
    diarizer: str | Absent = Field(
        default=None,
        description="A new diarizer; only with `stage=diarize`.",
        json_schema_extra=build_enum(catalog.diarizers),
    )
    min_speakers: _Speakers | Absent = Field(
        default=None,
        description="Only with `stage=diarize`; replaces both numbers of the job.",
    )
    max_speakers: _Speakers | Absent = Field(
        default=None,
        description="Only with `stage=diarize`; replaces both numbers of the job.",
    )


class Process(Body):
    """A file of the service's machine; both paths must be in folders of MEDIA_ROOTS."""

    file_path: str = Field(max_length=4096, examples=["/srv/media/video.mp4"])
    output_dir: str = Field(
        max_length=4096,
        description="Created if missing; files with the same names are replaced.",
        examples=["/srv/media/out"],
    )


class JobReference(BaseModel):
    """The created job."""

    job_id: UUID


class JobAccepted(BaseModel):
    """A job that is stored, and cannot be lost from now on."""

    job_id: UUID = Field(examples=[EXAMPLE_ID])
    transcript_id: UUID
    engine: str = Field(examples=["sphinx"])
    status: JobStatus
    message: str = Field(examples=["PocketSphinx transcription job enqueued successfully"])
    warnings: list[ResultWarning] | Absent = Field(
        default=None, description="Present only if there are warnings."
    )


class ChunkTranscription(BaseModel):
    """Preliminary transcription of one chunk; the final transcript may differ."""

    chunk: int = Field(ge=0, description="Chunks are counted from 0.")
    start: Seconds = Field(description="Seconds from the start of the recording.")
    end: Seconds
    language: str | None = Field(examples=["en-US"])
    text: str = Field(examples=["Hello."])
    words: list[TranscribedWord]


class StreamEvent(BaseModel):
    """Without a name: the state of the job. Named `segment`: the transcription of a chunk."""

    event: Literal["message", "segment"] = "message"
    id: str | Absent = Field(default=None, description="Value for `Last-Event-ID`.")
    retry: int | Absent = Field(
        default=None, description="Milliseconds after which to reconnect if the stream ends."
    )
    data: Json[JobState | ChunkTranscription]


class ListedJob(BaseModel):
    """A job in a list."""

    job_id: UUID = Field(examples=[EXAMPLE_ID])
    transcript_id: UUID
    status: JobStatus
    engine: str = Field(examples=["sphinx"])
    filename: str = Field(examples=["meeting.mp3"])
    language: str | None = Field(examples=["en-US"])
    duration: Seconds | None = Field(description="Seconds of the recording, once known.")
    priority: Priority
    session_id: UUID | None
    error: Failure | None
    created_at: Moment
    completed_at: Moment | None


class JobPage(BaseModel):
    """Jobs, newest first."""

    jobs: list[ListedJob]
    next_cursor: NextCursor
