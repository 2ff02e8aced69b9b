"""Merge the transcript of a job from its parts, and end the job."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core.access import user_resources
from core.db.models import JobPart, TranscriptJob
from core.db.transactions import transaction
from core.errors import EngineError, NotFound
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from core.live import progress
from core.settings import settings
from core.states import Channels, PartKind, PartState
from core.storage import layout, storage
from engines import catalog
from tasks import endings, pipeline
from tasks.steps import coverage_retry
from tasks.steps.base import JobStep, step
from tasks.steps.export import export_artefacts
from transcripts import formats
from transcripts.coverage import (
    Coverage,
    build_notes,
    find_unexplained_gaps,
    measure_coverage,
    to_json,
)
from transcripts.engine_notes import to_warnings
from transcripts.formats import Layout
from transcripts.merger import TranscriptionMerger
from transcripts.serialization import diarization_from_json, notes_from_json, words_from_json
from transcripts.speakers import channels, roles
from transcripts.speakers.assignment import label
from transcripts.speakers.linking import Shard, link_speakers
from transcripts.speakers.roles import Lexicon, Role
from transcripts.stitch import TranscribedChunk
from transcripts.types import Interval, Note, Segment, Turn
from transcripts.warning import TranscriptWarning, WarningCode

NOT_TRANSCRIBED = "nothing could be transcribed here"
NO_SPEAKERS = "the speakers could not be found"
NOTHING_HEARD = "nobody seems to speak in this recording, so the transcript is empty"


@dataclass(frozen=True, slots=True)
class StoredPart:
    """A part with its result from storage, or None for a failed or lost part."""

    part: JobPart
    result: dict[str, Any] | None

    @property
    def interval(self) -> Interval:
        return Interval(self.part.start, self.part.end)


@dataclass(frozen=True, slots=True)
class MergedTranscript:
    """The merged transcript, before it is stored."""

    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...]
    language: str | None
    #: Coverage of each transcribed chunk, by its position.
    coverage: Mapping[int, Coverage]
    warnings: tuple[TranscriptWarning, ...]
    #: By speaker; empty if the context defines no roles.
    roles: Mapping[int, Role]


@step("merge", JobStep)
def merge(self: JobStep, job_id: str) -> None:
    """Merge all parts into one transcript. Safe to run twice: only one run ends the job."""
    with transaction() as session:
        if not lifecycle.begin_merge(session, job_id, self.owner, self.worker):
            return
        job = lifecycle.get_job(session, job_id)
        parts = lifecycle.list_parts(session, job_id)
        lexicon = user_resources.find_lexicon(session, job.transcript)
    progress.publish_status(job_id)

    stored_parts = [_read_part(part) for part in parts]
    lost_parts = [
        stored.part
        for stored in stored_parts
        if stored.result is None and stored.part.state == PartState.STORED
    ]
    if lost_parts:
        _redo_parts(job_id, self.owner, lost_parts)
        return
    merged = _merge_parts(job, stored_parts, lexicon)
    _write_artefacts(job, stored_parts, merged)
    # Before the end, so that the files exist when the end is published.
    output_dir = lifecycle.read_spec(job).output_dir
    export_warning = export_artefacts(job_id, output_dir) if output_dir else None

    endings.complete_job(
        job_id,
        self.owner,
        segments=formats.segments_json(merged.segments),
        language=merged.language,
        warnings=[*merged.warnings, *([export_warning] if export_warning else [])],
        roles=merged.roles,
    )


def _read_part(part: JobPart) -> StoredPart:
    """Return a part with its result, if this is in storage and unchanged."""
    build_key = (
        layout.chunk_transcription if part.kind == PartKind.CHUNK else layout.shard_diarization
    )
    if part.state != PartState.STORED:
        return StoredPart(part, None)
    try:
        content = storage().get_bytes(build_key(part.job_id, part.position))
    except NotFound:
        return StoredPart(part, None)
    is_whole = hashlib.sha256(content).hexdigest() == part.sha256
    return StoredPart(part, json.loads(content) if is_whole else None)


def _redo_parts(job_id: str, owner: str, lost_parts: Sequence[JobPart]) -> None:
    with transaction() as session:
        lifecycle.reopen_parts(session, job_id, owner, [session.merge(part) for part in lost_parts])
    pipeline.fan_out(job_id)


def _merge_parts(
    job: TranscriptJob, stored_parts: Sequence[StoredPart], lexicon: Lexicon
) -> MergedTranscript:
    chunks = [stored for stored in stored_parts if stored.part.kind == PartKind.CHUNK]
    shards = [stored for stored in stored_parts if stored.part.kind == PartKind.SHARD]
    failed_chunks = [stored for stored in chunks if stored.result is None]
    _check_failures(failed_chunks, chunks)

    spec = lifecycle.read_spec(job)
    if spec.channels is Channels.SEPARATE:
        segments = channels.merge_channels(
            _group_by_channel(chunks), _read_bleed(job.job_id, chunks)
        )
        turns = channels.build_turns(segments)
    else:
        turns = _link_turns(spec, shards)
        segments = TranscriptionMerger().merge(_read_chunks(chunks), turns)
    speech = coverage_retry.read_speech(job.job_id)
    notes = _collect_notes(chunks)
    warnings = [
        *(
            _failure_warning(WarningCode.CHUNK_FAILED, NOT_TRANSCRIBED, failed_chunk)
            for failed_chunk in failed_chunks
        ),
        *(
            _failure_warning(WarningCode.SPEAKERS_FAILED, NO_SPEAKERS, shard)
            for shard in shards
            if shard.result is None
        ),
        *to_warnings([*notes, *_find_gap_notes(chunks, segments, speech, notes)]),
    ]
    if not segments and not warnings:
        warnings.append(TranscriptWarning(WarningCode.NOTHING_HEARD, NOTHING_HEARD))
    return MergedTranscript(
        segments=segments,
        turns=turns,
        language=_choose_language(job, chunks),
        coverage=_measure_coverage(chunks, speech),
        warnings=tuple(warnings),
        roles=_assign_roles(segments, lexicon),
    )


def _assign_roles(segments: Sequence[Segment], lexicon: Lexicon) -> dict[int, Role]:
    """Assign only the roles that the context defines."""
    return (
        roles.find_roles(((segment.speaker, segment.text) for segment in segments), lexicon)
        if lexicon
        else {}
    )


def _group_by_channel(chunks: Sequence[StoredPart]) -> dict[int, list[TranscribedChunk]]:
    """Return the transcribed chunks of each channel."""
    numbers = sorted({stored.part.channel or 0 for stored in chunks})
    return {
        number: _read_chunks([stored for stored in chunks if stored.part.channel == number])
        for number in numbers
    }


def _read_bleed(job_id: str, chunks: Sequence[StoredPart]) -> dict[int, list[Interval]]:
    """Return the intervals by channel in which it only carries another channel's speech."""
    bleed_by_chunk = coverage_retry.read_bleed(job_id)
    bleed_by_channel: defaultdict[int, list[Interval]] = defaultdict(list)
    for stored in chunks:
        bleed_by_channel[stored.part.channel or 0] += bleed_by_chunk.get(stored.part.position, ())
    return bleed_by_channel


def _read_chunks(chunks: Sequence[StoredPart]) -> list[TranscribedChunk]:
    return [
        TranscribedChunk(stored.interval, words_from_json(stored.result["words"]))
        for stored in chunks
        if stored.result
    ]


def _link_turns(spec: JobSpec, shards: Sequence[StoredPart]) -> tuple[Turn, ...]:
    if spec.diarizer is None:
        return ()
    return link_speakers(
        [
            Shard(stored.interval, diarization_from_json(stored.result))
            for stored in shards
            if stored.result
        ],
        threshold=catalog.diarizer(spec.diarizer).same_speaker,
        max_speakers=spec.max_speakers,
    )


def _check_failures(failed_chunks: Sequence[StoredPart], chunks: Sequence[StoredPart]) -> None:
    """Raise `EngineError` if too many chunks failed.

    A transcript with gaps is better than none, but one that is all gaps is none.
    """
    if not failed_chunks or (
        len(failed_chunks) < len(chunks) and settings().failed_chunks == "gap"
    ):
        return
    raise EngineError(
        f"{len(failed_chunks)} of {len(chunks)} chunks could not be transcribed: "
        f"{_failure_reason(failed_chunks[0])}"
    )


def _failure_warning(code: WarningCode, summary: str, stored: StoredPart) -> TranscriptWarning:
    return TranscriptWarning(
        code, f"{summary}: {_failure_reason(stored)}", stored.interval.start, stored.interval.end
    )


def _failure_reason(stored: StoredPart) -> str:
    return str((stored.part.error or {}).get("message", "no reason is known"))


def _collect_notes(chunks: Sequence[StoredPart]) -> list[Note]:
    note_lists = (
        notes_from_json(stored.result.get("notes", ())) for stored in chunks if stored.result
    )
    return [note for notes in note_lists for note in notes]


def _measure_coverage(
    chunks: Sequence[StoredPart], speech: Mapping[int, Sequence[Interval]]
) -> dict[int, Coverage]:
    """Return how much of the speech in each chunk has words."""
    return {
        stored.part.position: measure_coverage(
            words_from_json(stored.result["words"]), speech.get(stored.part.position, ())
        )
        for stored in chunks
        if stored.result
    }


def _find_gap_notes(
    chunks: Sequence[StoredPart],
    segments: Sequence[Segment],
    speech: Mapping[int, Sequence[Interval]],
    notes: Sequence[Note],
) -> list[Note]:
    """Return notes on speech without words in the merged transcript.

    A chunk may have the words that its neighbour missed. If each channel is a speaker, each is
    checked separately.
    """
    gap_notes: list[Note] = []
    for channel in sorted({stored.part.channel for stored in chunks}, key=str):
        channel_chunks = [
            stored for stored in chunks if stored.result and stored.part.channel == channel
        ]
        intervals = [
            interval
            for stored in channel_chunks
            for interval in speech.get(stored.part.position, ())
        ]
        words = [
            word
            for segment in segments
            if channel is None or segment.speaker == channel
            for word in segment.words
        ]
        gap_notes += build_notes(find_unexplained_gaps(measure_coverage(words, intervals), notes))
    return gap_notes


def _choose_language(job: TranscriptJob, chunks: Sequence[StoredPart]) -> str | None:
    """Return the requested language, or the most frequent one among the chunks."""
    languages = Counter(stored.result["language"] for stored in chunks if stored.result)
    languages.pop(None, None)
    return job.transcript.language or (languages.most_common(1)[0][0] if languages else None)


def _write_artefacts(
    job: TranscriptJob, stored_parts: Sequence[StoredPart], merged: MergedTranscript
) -> None:
    subtitle_layout = Layout()
    texts = {
        "whisper_results.json": _encode_json(_describe_transcription(job, stored_parts, merged)),
        "diarization_results.json": _encode_json(_describe_diarization(job, merged)),
        "final_transcription.json": _encode_json(
            formats.final_transcription(
                job.transcript.filename, job.transcript.duration or 0.0, merged.segments
            )
        ),
        "transcription.srt": formats.srt(merged.segments, subtitle_layout),
        "transcription.vtt": formats.vtt(merged.segments, subtitle_layout),
        "transcription.txt": formats.txt(merged.segments),
    }
    for name, text in texts.items():
        storage().put_bytes(layout.artefact(job.job_id, name), text.encode())


def _describe_transcription(
    job: TranscriptJob, stored_parts: Sequence[StoredPart], merged: MergedTranscript
) -> dict[str, Any]:
    """Return the engine's result by chunk, and how much of the speech it covers."""
    model = lifecycle.read_spec(job).model or catalog.default_model(catalog.recognizer(job.engine))
    return {
        "engine": job.engine,
        "model": model,
        "language": merged.language,
        "chunks": [
            {"index": stored.part.position, **_describe_chunk(stored, merged)}
            for stored in stored_parts
            if stored.part.kind == PartKind.CHUNK
        ],
    }


def _describe_chunk(chunk: StoredPart, merged: MergedTranscript) -> dict[str, Any]:
    if chunk.result is None:
        return {"error": chunk.part.error}
    return {**chunk.result, "coverage": to_json(merged.coverage[chunk.part.position])}


def _describe_diarization(job: TranscriptJob, merged: MergedTranscript) -> dict[str, Any]:
    """Return the turns of the speakers, who are the same in the whole recording."""
    role_by_speaker = {label(speaker): role.name for speaker, role in merged.roles.items()}
    return {
        "diarizer": lifecycle.read_spec(job).diarizer,
        "speakers": sorted({label(turn.speaker) for turn in merged.turns}),
        "turns": [
            {
                "speaker_id": label(turn.speaker),
                "start_time": round(turn.start, 3),
                "end_time": round(turn.end, 3),
            }
            for turn in merged.turns
        ],
        **({"speaker_roles": role_by_speaker} if role_by_speaker else {}),
    }


def _encode_json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
