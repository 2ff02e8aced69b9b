"""Estimates for the caller: the percentage of a job that is done, and the seconds that are left."""

from __future__ import annotations

from dataclasses import dataclass

from core import clock
from core.jobs.priorities import WorkAhead
from core.states import JobStatus, Stage

#: Percent at which transcription begins and ends. The rest is preparing and merging.
LISTENING_FROM, LISTENING_TO = 5, 95
#: Share of the expected time of a shard at which an unfinished shard counts as late.
_MAX_ELAPSED_SHARE = 0.9


@dataclass(frozen=True, slots=True)
class PartProgress:
    """How many parts of one kind are done, counted and in seconds of audio."""

    done: int = 0
    total: int = 0
    #: Parts that a worker has started at least once.
    begun: int = 0
    #: Parts that wait for a retry.
    delayed: int = 0
    seconds_done: float = 0.0
    seconds_total: float = 0.0


def compute_progress(status: JobStatus, stage: Stage, share: float) -> int:
    """Return the percentage of a job, which never goes down, and is 100 only for a result.

    *share*: how much of the listening stage is done, see `compute_share_done`.
    """
    if status is JobStatus.COMPLETED:
        return 100
    if stage is Stage.QUEUED:
        return 0
    if stage is Stage.PREPARE:
        return 1
    if stage is Stage.MERGE:
        return LISTENING_TO
    return LISTENING_FROM + int(share * (LISTENING_TO - LISTENING_FROM))


def compute_share_done(
    chunks: PartProgress, chunk_cost: float, shards: PartProgress, shard_cost: float
) -> float:
    """Return how much of the expected time of transcription and diarization has passed, 0 to 1.

    Both run side by side, so the longer one counts. A shard reports nothing until it is done:
    the transcribed audio shows how far it should be. *chunk_cost*, *shard_cost*: of a second of
    audio, in any unit.
    """
    transcribed = chunk_cost * chunks.seconds_done
    transcribing = chunk_cost * chunks.seconds_total
    diarizing = shard_cost * shards.seconds_total
    diarized = shard_cost * shards.seconds_done
    if shards.done < shards.total:
        diarized = max(diarized, min(transcribed, _MAX_ELAPSED_SHARE * diarizing))
    total, remaining = (
        max(transcribing, diarizing),
        max(transcribing - transcribed, diarizing - diarized),
    )
    return 1 - remaining / total if total else 0.0


def estimate_seconds_left(
    stage: Stage, listening_since: float | None, chunks: PartProgress, shards: PartProgress
) -> float | None:
    """Estimate by the slower of the two kinds of parts; None before one part of each is done."""
    kinds = [kind for kind in (chunks, shards) if kind.total]
    if stage is not Stage.LISTEN or listening_since is None:
        return None
    if not kinds or not all(kind.seconds_done for kind in kinds):
        return None
    elapsed = clock.now() - listening_since
    estimates = (elapsed * (kind.seconds_total / kind.seconds_done - 1) for kind in kinds)
    return round(max(estimates), 1)


def estimate_wait(
    ahead: WorkAhead | None, chunks: PartProgress, pace: float | None
) -> float | None:
    """Estimate the seconds until the end of a job that no worker has begun.

    *pace*: seconds that all workers together take for a second of audio.
    """
    if ahead is None or ahead.seconds is None or pace is None:
        return None
    return round(pace * (ahead.seconds + chunks.seconds_total), 1)
