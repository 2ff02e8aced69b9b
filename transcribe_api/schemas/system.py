"""The service itself: engines, health and state."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, Field

from core.json_fields import Absent, Moment
from core.states import JobStatus


class EngineHealth(BaseModel):
    """Whether an engine can be used now."""

    status: Literal["ok", "unavailable"]


class Engine(BaseModel):
    """Properties of an engine; the keys after the second depend on the engine."""

    engine: str = Field(examples=["whisper"])
    available: bool = Field(description="Whether a living worker serves the engine's queue.")
    uri: str | Absent = Field(default=None, description="`asr`: the server, as `host:port`.")
    model: str | Absent = Field(
        default=None, description="`asr`: the model on that server; `whisper`: the usual one."
    )
    language: str | Absent = Field(default=None, description="`asr`: what the model knows.")
    url: str | None = Field(default=None, description="`whisperx`: the remote service, if any.")
    available_models: list[str] | Absent = Field(
        default=None, description="`whisper`, `whisperx`: what a job may ask for."
    )
    models_here: list[str] | Absent = Field(
        default=None,
        description="`whisper`, `whisperx`: those of them that lie on the machine of a worker; "
        "another is fetched when a job asks for it, if the hub can be reached.",
    )
    health: EngineHealth | Absent = Field(default=None, description="`whisperx`")
    models: list[str] | Absent = Field(default=None, description="Other engines: to choose from.")
    languages: list[str] | Absent = Field(
        default=None, description="Other engines: tags; none stands for any language."
    )


class Engines(BaseModel):
    """Every engine by its name."""

    engines: dict[str, Engine]
    default_engine: str = Field(description="Of a job that names none.", examples=["whisper"])


class AccessToken(BaseModel):
    """Replaces a key for reading, for an hour."""

    access_token: str
    expires_in: int = Field(description="Seconds.", examples=[3600])


class Queue(BaseModel):
    """A queue, and the number of its workers."""

    waiting: int | None = Field(description="Messages; null when the broker does not answer.")
    workers: int = Field(description="Living workers that take from it.")


class Memory(BaseModel):
    """Memory of the machine that responds."""

    total_gb: float
    used_gb: float
    available_gb: float
    percent: float


class Cpu(BaseModel):
    """Processors of the machine that responds."""

    percent: float = Field(description="In use, since this was last asked.")
    cores: int


class Resources(BaseModel):
    """Resources of the machine that responds."""

    memory: Memory
    cpu: Cpu


class WorkerStatus(BaseModel):
    """A live worker, as in its last report."""

    name: str = Field(examples=["asr.sphinx@host"])
    queues: list[str]
    processes: int = Field(description="Of its pool; 0 where it works with threads.")
    memory_gb: float = Field(description="Resident memory of all its processes.")
    peak_memory_gb: float = Field(description="The most that it had.")
    memory_budget_percent: int = Field(
        description="Of `MAX_MEMORY_GB`: what all processes with a model take on the worker's host."
    )
    cpu_percent: float = Field(description="100 is one core.")
    started_at: Moment
    version: str


class OrchestratorStats(BaseModel):
    """Statistics of all jobs ever."""

    average_processing_time: float = Field(
        description="Seconds of work on a job; of the last thousand that were completed."
    )
    peak_memory_usage: float = Field(
        description="GB; the sum of the peaks of all processes that live now."
    )
    successful_jobs: int
    failed_jobs: int
    total_jobs_processed: int = Field(description="Those that are over, however they ended.")


class SystemStatus(BaseModel):
    """State of the whole service."""

    active_jobs: int = Field(description="Queued or processing.")
    completed_jobs: int
    jobs: dict[JobStatus, int]
    queues: dict[str, Queue]
    resource_manager: Resources
    workers: list[WorkerStatus]
    orchestrator_stats: OrchestratorStats
    versions: dict[str, str] = Field(examples=[{"chordscribe": "0.1.0", "python": "3.13.1"}])
    started_at: Moment = Field(description="When the process that answers began.")
    uptime: float = Field(description="Seconds since then.")


class Alive(BaseModel):
    """The process answers."""

    status: Literal["ok"]


class Readiness(BaseModel):
    """The required parts of the service, and whether they answer."""

    status: Literal["ok", "unavailable"]
    checks: dict[str, Literal["ok", "unavailable", "full"]] = Field(
        examples=[{"database": "ok", "redis": "ok", "storage": "ok"}]
    )
