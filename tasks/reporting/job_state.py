"""The state of a job as callers see it: one value for Redis, REST and the event stream."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from core.json_fields import EXAMPLE_ID, Absent, Moment, Seconds
from core.states import JobStatus, Stage
from transcripts.warning import Severity, WarningCode


class ResultWarning(BaseModel):
    """One problem of a transcript."""

    model_config = ConfigDict(frozen=True)

    code: WarningCode = Field(description="Stable name for programs.")
    severity: Severity = Field(
        description="`error`: something is missing; `warning`: something may be wrong; `info`: "
        "nothing is wrong, but something may differ from what you expect."
    )
    start: Seconds | None = Field(
        description="Seconds from the start of the recording; "
        "null if it concerns the whole recording."
    )
    end: Seconds | None
    sentence: str = Field(
        description="For people.", examples=["words are doubtful: the model is unsure"]
    )
    retryable: bool = Field(description="Whether a retry of the job may correct it.")


class Failure(BaseModel):
    """Why a job has failed."""

    model_config = ConfigDict(frozen=True)

    code: str = Field(description="Stable name for programs.", examples=["media_unreadable"])
    message: str = Field(description="For people.")


class Outcome(BaseModel):
    """The size of a completed transcript."""

    model_config = ConfigDict(frozen=True)

    segments_count: int = Field(ge=0, examples=[42])
    duration: Seconds | None = Field(description="Seconds of the recording.")


class JobState(BaseModel):
    """The state of a job."""

    model_config = ConfigDict(frozen=True)

    job_id: UUID = Field(examples=[EXAMPLE_ID])
    status: JobStatus
    progress: int = Field(
        ge=0,
        le=100,
        description="Percent; never goes down, and is 100 only when the result can be fetched.",
    )
    transcript_id: UUID
    worker_id: str | None = Field(description="Name of the worker that last prepared the job.")
    message: str = Field(description="For people.", examples=["Transcribing with PocketSphinx"])
    engine: str = Field(examples=["sphinx"])
    filename: str = Field(examples=["meeting.mp3"])
    stage: Stage
    chunks_done: int = Field(ge=0)
    chunks_total: int = Field(ge=0, description="Chunks cut so far; all, once they are.")
    shards_done: int = Field(ge=0, description="Diarized shards.")
    shards_total: int = Field(ge=0)
    audio_seconds_done: Seconds = Field(description="Transcribed seconds of the recording.")
    audio_seconds_total: Seconds = Field(description="Seconds of the recording to transcribe.")
    queue_position: int | None = Field(
        ge=0, description="Jobs ahead of it; null unless the job waits for its turn."
    )
    seconds_left: float | None = Field(
        description="Estimated seconds until the end; null without a basis for an estimate."
    )
    warnings: list[ResultWarning] = Field(description="Warnings about the transcript.")
    error: Failure | None
    created_at: Moment
    completed_at: Moment | None
    result: Outcome | Absent = Field(default=None, description="Present only if completed.")

    @property
    def is_queue_dependent(self) -> bool:
        """Whether the state may change with other jobs alone."""
        return self.stage is Stage.QUEUED or self.queue_position is not None

    def to_json(self) -> dict[str, Any]:
        """Return the JSON object; `result` is absent until the job is completed."""
        return self.model_dump(mode="json", exclude=self._absent_fields())

    def to_text(self) -> str:
        """Return `to_json` as text."""
        return self.model_dump_json(exclude=self._absent_fields())

    def _absent_fields(self) -> set[str]:
        return {"result"} if self.result is None else set()
