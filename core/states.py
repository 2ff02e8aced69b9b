"""States of jobs and their parts."""

from __future__ import annotations

from enum import StrEnum


class JobStatus(StrEnum):
    """The status of a job that callers see."""

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
    """Stage of a job. It only moves forward, except for a merge that finds a part missing."""

    QUEUED = "queued"
    PREPARE = "prepare"
    LISTEN = "listen"
    MERGE = "merge"
    OVER = "over"


class Redo(StrEnum):
    """Stage of an ended job that can be repeated separately."""

    TRANSCRIBE = "transcribe"
    DIARIZE = "diarize"
    MERGE = "merge"


class PartKind(StrEnum):
    """A chunk is transcribed, a shard is diarized."""

    CHUNK = "chunk"
    SHARD = "shard"


class PartState(StrEnum):
    """A part ends as stored or failed; earlier states may occur more than once."""

    WAITING = "waiting"
    RUNNING = "running"
    STORED = "stored"
    FAILED = "failed"


#: States of a part that still needs work, and of one that has ended.
OPEN_PART_STATES = (PartState.WAITING, PartState.RUNNING)
FINAL_PART_STATES = (PartState.STORED, PartState.FAILED)


class DeliveryState(StrEnum):
    """A webhook is sent until it is delivered or given up."""

    WAITING = "waiting"
    SENDING = "sending"
    DELIVERED = "delivered"
    FAILED = "failed"


class Channels(StrEnum):
    """Use of a recording's channels: one mix, or one speaker per channel."""

    MIX = "mix"
    SEPARATE = "separate"


#: As the track of a job: all audio tracks of the recording.
ALL_TRACKS = "all"


class Priority(StrEnum):
    """How urgent a job is."""

    HIGH = "high"
    NORMAL = "normal"
    LOW = "low"
