"""Find who speaks when in one shard of a job."""

from __future__ import annotations

import hashlib
import json

from core import jobs, layout, metrics, parts, progress
from core.db import transaction
from core.parts import PartId
from core.states import PartKind
from core.storage import storage
from engines.base import SpeakerHints
from tasks import loading
from tasks.piece_sound import local_sound
from tasks.steps import ShardStep, step
from transcripts.stored import voices_to_json

#: Seconds a shard of half an hour may take: diarizers without a GPU are slow.
_SECONDS = 3600


@step("diarize", ShardStep, soft_time_limit=_SECONDS, time_limit=_SECONDS + 30)
def diarize(self: ShardStep, job_id: str, position: int) -> None:
    """Write down the speaker turns of one shard. Safe to run twice."""
    part = PartId(job_id, PartKind.SHARD, position)
    with transaction() as session:
        place = parts.lease(session, part, self.owner, self.worker)
        spec = jobs.spec_of(jobs.get(session, job_id))
        shards = jobs.parts(session, job_id, PartKind.SHARD)
    if place is None or spec.diarizer is None:
        return

    diarizer = loading.diarizer(spec.diarizer)
    with (
        local_sound(job_id, layout.shard_audio(job_id, position), place) as audio,
        metrics.heard(spec.diarizer, place.end - place.start),
    ):
        # Of those who speak in the whole recording, some may be silent in one of its shards.
        least = spec.min_speakers if len(shards) == 1 else None
        voices = diarizer.diarize(audio, SpeakerHints(least, spec.max_speakers))
    data = json.dumps(voices_to_json(voices)).encode()
    storage().put_bytes(layout.shard_voices(job_id, position), data)

    with transaction() as session:
        parts.store(session, part, place, hashlib.sha256(data).hexdigest())
    progress.tell(job_id)
