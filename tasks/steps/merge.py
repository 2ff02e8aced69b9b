"""Merge the parts of a job into its transcript, and end the job."""

from __future__ import annotations

from collections.abc import Sequence

from core.access import user_resources
from core.db.transactions import transaction
from core.jobs import lifecycle, records
from core.jobs.records import PartRecord
from tasks import endings, pipeline
from tasks.reporting import progress
from tasks.steps.artefacts import store_artefacts
from tasks.steps.assembly import assemble_transcript
from tasks.steps.base import JobStep, step
from tasks.steps.export import export_artefacts
from tasks.steps.stored_parts import load_parts
from transcripts import formats


@step("merge", JobStep)
def merge(self: JobStep, job_id: str) -> None:
    """Merge all parts into one transcript. Safe to run twice: only one run ends the job."""
    with transaction() as session:
        if not lifecycle.begin_merge(session, job_id, self.owner, self.worker):
            return
        job = records.read_job(session, job_id)
        parts = records.read_parts(session, job_id)
        lexicon = user_resources.find_lexicon(session, job.context_id, job.owner_id)
    progress.publish_status(job_id)

    stored_parts = load_parts(parts)
    if stored_parts.missing:
        _redo_parts(job_id, self.owner, stored_parts.missing)
        return
    transcript = assemble_transcript(job, stored_parts, lexicon)
    store_artefacts(job, stored_parts.chunks, transcript)
    # Before the job ends, so that a caller who sees the end finds the files.
    output_dir = job.spec.output_dir
    export_warning = export_artefacts(job_id, output_dir) if output_dir else None

    endings.complete_job(
        job_id,
        self.owner,
        segments=formats.segments_json(transcript.segments),
        language=transcript.language,
        warnings=[*transcript.warnings, *([export_warning] if export_warning else [])],
        roles=transcript.roles,
    )


def _redo_parts(job_id: str, owner: str, missing_parts: Sequence[PartRecord]) -> None:
    with transaction() as session:
        names = {(part.id.kind, part.position) for part in missing_parts}
        lifecycle.reopen_parts(session, job_id, owner, names)
    pipeline.fan_out(job_id)
