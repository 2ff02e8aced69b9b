"""Diarize one shard of a job."""

from __future__ import annotations

import hashlib
import json

from core import metrics
from core.db.transactions import transaction
from core.jobs import parts, records
from core.jobs.parts import PartId
from core.states import PartKind
from core.storage import layout, storage
from engines.base import SpeakerHints
from tasks.reporting import progress
from tasks.steps import loaded_engines
from tasks.steps.base import ShardStep, step
from tasks.steps.part_audio import open_audio
from transcripts.serialization import diarization_to_json

#: Seconds that a shard of half an hour may take: diarizers are slow without a GPU.
_TIME_LIMIT_SECONDS = 3600


@step(
    "diarize", ShardStep, soft_time_limit=_TIME_LIMIT_SECONDS, time_limit=_TIME_LIMIT_SECONDS + 30
)
def diarize(self: ShardStep, job_id: str, position: int) -> None:
    """Store the speaker turns of one shard. Safe to run twice."""
    part = PartId(job_id, PartKind.SHARD, position)
    with transaction() as session:
        interval = parts.lease_part(session, part, self.owner, self.worker)
        spec = records.read_job(session, job_id).spec
        shard_count = len(records.read_parts(session, job_id, PartKind.SHARD))
    if interval is None or spec.diarizer is None:
        return

    diarizer = loaded_engines.load_diarizer(spec.diarizer)
    with (
        open_audio(job_id, layout.shard_audio(job_id, position), interval) as audio,
        metrics.measure_audio(spec.diarizer, interval.end - interval.start),
    ):
        # Some speakers of the recording may be silent in one of its shards.
        min_speakers = spec.min_speakers if shard_count == 1 else None
        diarization = diarizer.diarize(audio, SpeakerHints(min_speakers, spec.max_speakers))
    content = json.dumps(diarization_to_json(diarization)).encode()
    storage().put_bytes(layout.shard_diarization(job_id, position), content)

    with transaction() as session:
        parts.mark_stored(session, part, interval, hashlib.sha256(content).hexdigest())
    progress.publish_status(job_id)
