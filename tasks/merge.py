"""Put the transcript of a job together from its parts, and end the job."""

from __future__ import annotations

import hashlib
import json
from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from core import jobs, layout, named, progress
from core.db import transaction
from core.errors import EngineError, NotFound
from core.models import JobPart, TranscriptJob
from core.settings import settings
from core.specs import JobSpec
from core.states import Channels, PartKind, PartState
from core.storage import storage
from engines import catalog
from tasks import endings, holes, pipeline
from tasks.export import export
from tasks.steps import JobStep, step
from transcripts import channels, formats, roles
from transcripts.coverage import Coverage, measure, to_json, told, unexplained
from transcripts.formats import Layout
from transcripts.linking import Shard, link
from transcripts.merger import TranscriptionMerger
from transcripts.notes import to_warnings
from transcripts.roles import Lexicon, Role
from transcripts.speakers import label
from transcripts.stitch import HeardChunk
from transcripts.stored import notes_from_json, voices_from_json, words_from_json
from transcripts.types import Note, Segment, Span, Turn
from transcripts.warning import TranscriptWarning, WarningCode

NOT_TRANSCRIBED = "nothing could be transcribed here"
NO_SPEAKERS = "the speakers could not be found"
NOTHING_HEARD = "nobody seems to speak in this recording, so the transcript is empty"


@dataclass(frozen=True, slots=True)
class Stored:
    """A part with the result that lies in storage, or None for a part that failed."""

    part: JobPart
    result: dict[str, Any] | None

    @property
    def span(self) -> Span:
        return Span(self.part.start, self.part.end)


@dataclass(frozen=True, slots=True)
class Merged:
    """The transcript, before it is written down."""

    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...]
    language: str | None
    #: Of each chunk that was heard, by its position.
    coverage: Mapping[int, Coverage]
    warnings: tuple[TranscriptWarning, ...]
    #: By speaker; empty when the context says nothing of roles.
    roles: Mapping[int, Role]


@step("merge", JobStep)
def merge(self: JobStep, job_id: str) -> None:
    """Make one transcript of all parts. Safe to run twice: one of them ends the job."""
    with transaction() as session:
        if not jobs.begin_merge(session, job_id, self.owner, self.worker):
            return
        job = jobs.get(session, job_id)
        parts = jobs.parts(session, job_id)
        lexicon = named.lexicon(session, job.transcript)
    progress.tell(job_id)

    found = [_read(part) for part in parts]
    lost = [one.part for one in found if one.result is None and one.part.state == PartState.STORED]
    if lost:
        _listen_again(job_id, self.owner, lost)
        return
    merged = _put_together(job, found, lexicon)
    _write_artefacts(job, found, merged)
    # Before the end: whoever hears of it finds the files.
    output_dir = jobs.spec_of(job).output_dir
    unwritten = export(job_id, output_dir) if output_dir else None

    endings.complete(
        job_id,
        self.owner,
        segments=formats.segments_json(merged.segments),
        language=merged.language,
        warnings=[*merged.warnings, *([unwritten] if unwritten else [])],
        roles=merged.roles,
    )


def _read(part: JobPart) -> Stored:
    """A part's result, when it is there and is what was stored."""
    key_of = layout.chunk_words if part.kind == PartKind.CHUNK else layout.shard_voices
    if part.state != PartState.STORED:
        return Stored(part, None)
    try:
        data = storage().get_bytes(key_of(part.job_id, part.position))
    except NotFound:
        return Stored(part, None)
    is_whole = hashlib.sha256(data).hexdigest() == part.sha256
    return Stored(part, json.loads(data) if is_whole else None)


def _listen_again(job_id: str, owner: str, lost: Sequence[JobPart]) -> None:
    with transaction() as session:
        jobs.listen_again(session, job_id, owner, [session.merge(part) for part in lost])
    pipeline.fan_out(job_id)


def _put_together(job: TranscriptJob, found: Sequence[Stored], lexicon: Lexicon) -> Merged:
    chunks = [one for one in found if one.part.kind == PartKind.CHUNK]
    shards = [one for one in found if one.part.kind == PartKind.SHARD]
    gaps = [one for one in chunks if one.result is None]
    _refuse_too_many(gaps, chunks)

    spec = jobs.spec_of(job)
    if spec.channels is Channels.SEPARATE:
        segments = channels.by_channel(_by_track(chunks), _bleed(job.job_id, chunks))
        turns = channels.turns(segments)
    else:
        turns = _turns(spec, shards)
        segments = TranscriptionMerger().merge(_heard(chunks), turns)
    speech = holes.speech(job.job_id)
    notes = _notes(chunks)
    warnings = [
        *(_failed(WarningCode.CHUNK_FAILED, NOT_TRANSCRIBED, gap) for gap in gaps),
        *(
            _failed(WarningCode.SPEAKERS_FAILED, NO_SPEAKERS, shard)
            for shard in shards
            if shard.result is None
        ),
        *to_warnings([*notes, *_hole_notes(chunks, segments, speech, notes)]),
    ]
    if not segments and not warnings:
        warnings.append(TranscriptWarning(WarningCode.NOTHING_HEARD, NOTHING_HEARD))
    return Merged(
        segments=segments,
        turns=turns,
        language=_language(job, chunks),
        coverage=_coverage(chunks, speech),
        warnings=tuple(warnings),
        roles=_roles(segments, lexicon),
    )


def _roles(segments: Sequence[Segment], lexicon: Lexicon) -> dict[int, Role]:
    """Nobody is given a role that the context does not speak of."""
    return roles.find(((one.speaker, one.text) for one in segments), lexicon) if lexicon else {}


def _by_track(chunks: Sequence[Stored]) -> dict[int, list[HeardChunk]]:
    """What was heard in each channel."""
    numbers = sorted({one.part.channel or 0 for one in chunks})
    return {
        number: _heard([one for one in chunks if one.part.channel == number]) for number in numbers
    }


def _bleed(job_id: str, chunks: Sequence[Stored]) -> dict[int, list[Span]]:
    """Where each channel only hears another."""
    found = holes.bleed(job_id)
    bled: defaultdict[int, list[Span]] = defaultdict(list)
    for one in chunks:
        bled[one.part.channel or 0] += found.get(one.part.position, ())
    return bled


def _heard(chunks: Sequence[Stored]) -> list[HeardChunk]:
    return [
        HeardChunk(one.span, words_from_json(one.result["words"])) for one in chunks if one.result
    ]


def _turns(spec: JobSpec, shards: Sequence[Stored]) -> tuple[Turn, ...]:
    if spec.diarizer is None:
        return ()
    return link(
        [Shard(one.span, voices_from_json(one.result)) for one in shards if one.result],
        threshold=catalog.diarizer(spec.diarizer).same_speaker,
        max_speakers=spec.max_speakers,
    )


def _refuse_too_many(gaps: Sequence[Stored], chunks: Sequence[Stored]) -> None:
    """A transcript with gaps is better than none, but one that is all gaps is none."""
    if not gaps or (len(gaps) < len(chunks) and settings().failed_chunks == "gap"):
        return
    raise EngineError(
        f"{len(gaps)} of {len(chunks)} chunks could not be transcribed: {_reason(gaps[0])}"
    )


def _failed(code: WarningCode, what: str, part: Stored) -> TranscriptWarning:
    return TranscriptWarning(code, f"{what}: {_reason(part)}", part.span.start, part.span.end)


def _reason(failed: Stored) -> str:
    return str((failed.part.error or {}).get("message", "no reason is known"))


def _notes(chunks: Sequence[Stored]) -> list[Note]:
    found = (notes_from_json(one.result.get("notes", ())) for one in chunks if one.result)
    return [note for notes in found for note in notes]


def _coverage(
    chunks: Sequence[Stored], speech: Mapping[int, Sequence[Span]]
) -> dict[int, Coverage]:
    """How much of the speech in each chunk has words."""
    return {
        one.part.position: measure(
            words_from_json(one.result["words"]), speech.get(one.part.position, ())
        )
        for one in chunks
        if one.result
    }


def _hole_notes(
    chunks: Sequence[Stored],
    segments: Sequence[Segment],
    speech: Mapping[int, Sequence[Span]],
    notes: Sequence[Note],
) -> list[Note]:
    """Where speech has no words in the whole: what one chunk passed over the next may have heard.

    Each channel that is a speaker is looked at for itself.
    """
    found: list[Note] = []
    for channel in sorted({one.part.channel for one in chunks}, key=str):
        heard = [one for one in chunks if one.result and one.part.channel == channel]
        spans = [span for one in heard for span in speech.get(one.part.position, ())]
        words = [
            word
            for segment in segments
            if channel is None or segment.speaker == channel
            for word in segment.words
        ]
        found += told(unexplained(measure(words, spans), notes))
    return found


def _language(job: TranscriptJob, chunks: Sequence[Stored]) -> str | None:
    """As asked for, or what most chunks were found to be in."""
    found = Counter(one.result["language"] for one in chunks if one.result)
    found.pop(None, None)
    return job.transcript.language or (found.most_common(1)[0][0] if found else None)


def _write_artefacts(job: TranscriptJob, found: Sequence[Stored], merged: Merged) -> None:
    layout_ = Layout()
    texts = {
        "whisper_results.json": _json(_what_was_heard(job, found, merged)),
        "diarization_results.json": _json(_who_spoke(job, merged)),
        "final_transcription.json": _json(
            formats.final_transcription(
                job.transcript.filename, job.transcript.duration or 0.0, merged.segments
            )
        ),
        "transcription.srt": formats.srt(merged.segments, layout_),
        "transcription.vtt": formats.vtt(merged.segments, layout_),
        "transcription.txt": formats.txt(merged.segments),
    }
    for name, text in texts.items():
        storage().put_bytes(layout.artefact(job.job_id, name), text.encode())


def _what_was_heard(job: TranscriptJob, found: Sequence[Stored], merged: Merged) -> dict[str, Any]:
    """What the engine said, chunk by chunk, and how much of the speech that covers."""
    model = jobs.spec_of(job).model or catalog.default_model(catalog.recognizer(job.engine))
    return {
        "engine": job.engine,
        "model": model,
        "language": merged.language,
        "chunks": [
            {"index": one.part.position, **_told(one, merged)}
            for one in found
            if one.part.kind == PartKind.CHUNK
        ],
    }


def _told(chunk: Stored, merged: Merged) -> dict[str, Any]:
    if chunk.result is None:
        return {"error": chunk.part.error}
    return {**chunk.result, "coverage": to_json(merged.coverage[chunk.part.position])}


def _who_spoke(job: TranscriptJob, merged: Merged) -> dict[str, Any]:
    """The turns of the speakers, who are the same in the whole recording."""
    by_role = {label(speaker): role.name for speaker, role in merged.roles.items()}
    return {
        "diarizer": jobs.spec_of(job).diarizer,
        "speakers": sorted({label(turn.speaker) for turn in merged.turns}),
        "turns": [
            {
                "speaker_id": label(turn.speaker),
                "start_time": round(turn.start, 3),
                "end_time": round(turn.end, 3),
            }
            for turn in merged.turns
        ],
        **({"speaker_roles": by_role} if by_role else {}),
    }


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=1)
