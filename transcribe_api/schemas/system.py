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
    available: bool = Field(description="Whether a live worker serves the engine's queue.")
    uri: str | Absent = Field(default=None, description="`asr`: the server, as `host:port`.")
    model: str | Absent = Field(
        default=None, description="`asr`: the model on that server; `whisper`: the default model."
    )
    language: str | Absent = Field(default=None, description="`asr`: the language of the model.")
    url: str | None = Field(default=None, description="`whisperx`: the remote service, if any.")
    available_models: list[str] | Absent = Field(
        default=None, description="`whisper`, `whisperx`: models that a job can request."
    )
    models_here: list[str] | Absent = Field(
        default=None,
        description="`whisper`, `whisperx`: the models on a worker's machine; others are "
        "downloaded when a job requests them, if the hub can be reached.",
    )
    health: EngineHealth | Absent = Field(default=None, description="`whisperx`")
    models: list[str] | Absent = Field(default=None, description="Other engines: available models.")
    languages: list[str] | Absent = Field(
        default=None, description="Other engines: language tags; empty means any language."
    )


class Engines(BaseModel):
    """Every engine by its name."""

    engines: dict[str, Engine]
    default_engine: str = Field(
        description="Engine of a job that names none.", examples=["whisper"]
    )


class AccessToken(BaseModel):
    """Replaces a key for reading, for an hour."""

    access_token: str
    expires_in: int = Field(description="Seconds.", examples=[3600])


class Queue(BaseModel):
    """A queue, and the number of its workers."""

    waiting: int | None = Field(description="Waiting messages; null if the broker does not answer.")
    workers: int = Field(description="Live workers that serve it.")


class Memory(BaseModel):
    """Memory of the machine that responds."""

    total_gb: float
    used_gb: float
    available_gb: float
    percent: float


class Cpu(BaseModel):
    """Processors of the machine that responds."""

    percent: float = Field(description="Use since the previous request for this status.")
    cores: int


class Resources(BaseModel):
    """Resources of the machine that responds."""

    memory: Memory
    cpu: Cpu


class WorkerStatus(BaseModel):
    """A live worker, as in its last report."""

    name: str = Field(examples=["asr.sphinx@host"])
    queues: list[str]
    processes: int = Field(description="Pool processes; 0 if the worker uses threads.")
    memory_gb: float = Field(description="Resident memory of all its processes.")
    peak_memory_gb: float = Field(description="Peak of the resident memory.")
    memory_budget_percent: int = Field(
        description="Percentage of `MAX_MEMORY_GB` that all processes with a model use on the "
        "worker's host."
    )
    cpu_percent: float = Field(description="100 is one core.")
    started_at: Moment
    version: str


class OrchestratorStats(BaseModel):
    """Statistics of all jobs ever."""

    average_processing_time: float = Field(
        description="Mean processing seconds of the last thousand completed jobs."
    )
    peak_memory_usage: float = Field(description="Sum of the peaks of all live processes, in GB.")
    successful_jobs: int
    failed_jobs: int
    total_jobs_processed: int = Field(description="Jobs that have ended, in any state.")


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
    started_at: Moment = Field(description="Start time of the responding process.")
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
