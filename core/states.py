"""The states of a job and of its parts, and what may follow what."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """What a caller is told."""

    QUEUED = "queued"
    PROCESSING = "processing"
    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"

    @property
    def is_over(self) -> bool:
        return self in FINAL_STATUSES


FINAL_STATUSES = frozenset({JobStatus.COMPLETED, JobStatus.FAILED, JobStatus.CANCELLED})


class Stage(StrEnum):
    """Where a job is on its way; only moves forward, but for a merge that finds a part missing."""

    QUEUED = "queued"
    PREPARE = "prepare"
    LISTEN = "listen"
    MERGE = "merge"
    OVER = "over"


class Redo(StrEnum):
    """What of a job that is over can be done again by itself."""

    TRANSCRIBE = "transcribe"
    DIARIZE = "diarize"
    MERGE = "merge"


class PartKind(StrEnum):
    """A chunk is transcribed, a shard is diarized."""

    CHUNK = "chunk"
    SHARD = "shard"


class PartState(StrEnum):
    """A part ends as stored or failed; everything before may happen more than once."""

    WAITING = "waiting"
    RUNNING = "running"
    STORED = "stored"
    FAILED = "failed"


#: A part that there is still something to do for, and one that has ended.
OPEN_PART_STATES = (PartState.WAITING, PartState.RUNNING)
FINAL_PART_STATES = (PartState.STORED, PartState.FAILED)


class DeliveryState(StrEnum):
    """A webhook is sent until it is delivered, or given up."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Channels(StrEnum):
    """What becomes of the channels of a recording: one mix, or a speaker each."""

    MIX = "mix"
    SEPARATE = "separate"


class Priority(StrEnum):
    """How urgent a job is."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
