"""Models common to many requests and responses."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, Field

from core.json_fields import EXAMPLE_ID, Absent
from core.states import JobStatus
from transcribe_api.http.requests import page_query, parsing
from transcribe_api.http.responses import rendering

#: A file in a form.
Recording = Annotated[
    bytes,
    Field(
        description="Any audio or video that FFmpeg reads; at most `MAX_FILE_SIZE` bytes.",
        json_schema_extra={"format": "binary", "contentMediaType": "application/octet-stream"},
    ),
]

NextCursor = Annotated[
    str | None,
    Field(description="Send it as `cursor` for the page after this one; null on the last page."),
]


class PageQuery(BaseModel):
    """Page of a list."""

    limit: int = Field(
        default=page_query.DEFAULT_LIMIT,
        ge=1,
        le=page_query.MAX_LIMIT,
        description="Maximum number of entries on the page.",
    )
    cursor: Annotated[str, Field(pattern=page_query.CURSOR_PATTERN)] | Absent = Field(
        default=None,
        description="`next_cursor` of the previous page; omit it for the first page.",
    )


class Problem(BaseModel):
    """An error, as RFC 9457 describes it."""

    type: str = Field(examples=["about:blank"])
    title: str = Field(description="The status in words.", examples=["Unprocessable Entity"])
    status: int = Field(ge=400, le=599, examples=[422])
    code: str = Field(description="Stable name for programs.", examples=["invalid_input"])
    detail: str = Field(
        description="What is wrong and what is allowed, for people.",
        examples=["max_speakers: 'many' is not a whole number from 1 to 50"],
    )
    field: str | Absent = Field(
        default=None,
        description="The invalid field, if there is one; dots separate the levels of a JSON body.",
        examples=["max_speakers"],
    )
    job_status: JobStatus | Absent = Field(
        default=None, description="With 409: the current state of the job."
    )
    text: str | Absent = Field(
        default=None, description="With `changed_meanwhile`: the current text of the segment."
    )
    speaker_tag: Annotated[int, Field(ge=0)] | None = Field(
        default=None,
        description="With `changed_meanwhile`: the current speaker.",
    )


def build_enum(names: Callable[[], Iterable[str]]) -> Callable[[dict[str, Any]], None]:
    """Return a `json_schema_extra` with the values that *names* returns when called."""
    return lambda schema: schema.update(enum=list(names()))


class Paths(BaseModel):
    """All path parameters, named as in the routes."""

    job_id: UUID = Field(description="From the response to a submission.", examples=[EXAMPLE_ID])
    transcript_id: UUID = Field(
        description="From the response to a submission, or from a list of jobs."
    )
    position: int = Field(
        ge=0,
        le=parsing.MAX_NUMBER,
        description="Index of the segment in `segments`, counted from 0.",
    )
    session_id: UUID = Field(description="From the response to `POST /api/transcribe/sessions`.")
    context_id: UUID = Field(description="From the response to `POST /api/transcribe/contexts`.")
    delivery_id: UUID = Field(description="The `id` of an entry in the list of deliveries.")
    format: str = Field(
        json_schema_extra=build_enum(lambda: rendering.MEDIA_TYPES),
        examples=["srt"],
        description="Also the extension of the returned file.",
    )
    name: str = Field(
        description="A file from the list of artefacts; it may contain a slash.",
        examples=["final_transcription.json"],
    )
    model: str = Field(description="An `id` of the list of models.", examples=["sphinx"])
    token: str = Field(description="The last part of the `audio_url` of a result.")
