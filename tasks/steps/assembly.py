"""Assembles the transcript of a job from the results of its chunks and shards."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from core.errors import EngineError
from core.jobs.records import JobRecord
from core.jobs.spec import JobSpec
from core.settings import settings
from core.states import Channels
from engines import catalog
from tasks.steps import coverage_retry
from tasks.steps.stored_parts import StoredPart, StoredParts
from transcripts.coverage import Coverage, build_notes, find_unexplained_gaps, measure_coverage
from transcripts.engine_notes import to_warnings
from transcripts.merger import TranscriptionMerger
from transcripts.speakers import channels, roles
from transcripts.speakers.linking import Shard, link_speakers
from transcripts.speakers.roles import Lexicon, Role
from transcripts.stitch import TranscribedChunk
from transcripts.types import ChunkResult, Diarization, Interval, Note, Segment, Turn
from transcripts.warning import TranscriptWarning, WarningCode

NOT_TRANSCRIBED = "this chunk could not be transcribed"
NO_SPEAKERS = "the speakers could not be detected"
NOTHING_HEARD = "no speech was detected in this recording, so the transcript is empty"

_Chunks = Sequence[StoredPart[ChunkResult]]
#: By position of the chunk.
_SpeechByChunk = Mapping[int, Sequence[Interval]]


@dataclass(frozen=True, slots=True)
class AssembledTranscript:
    """The transcript, before it is stored."""

    segments: tuple[Segment, ...]
    turns: tuple[Turn, ...]
    language: str | None
    #: Of each chunk that has words, by its position.
    coverage: Mapping[int, Coverage]
    warnings: tuple[TranscriptWarning, ...]
    #: By speaker; empty when the context lists no roles.
    roles: Mapping[int, Role]


def assemble_transcript(
    job: JobRecord, parts: StoredParts, lexicon: Lexicon
) -> AssembledTranscript:
    """Make one transcript of all parts.

    Raises `EngineError` when every chunk failed, or when one did and the deployment allows no
    transcript with gaps.
    """
    chunks, shards = parts.chunks, parts.shards
    failed_chunks = [stored for stored in chunks if stored.result is None]
    _check_failures(failed_chunks, chunks)

    if job.spec.channels is Channels.SEPARATE:
        segments = channels.merge_channels(
            _group_by_channel(chunks), _read_bleed(job.job_id, chunks)
        )
        turns = channels.build_turns(segments)
    else:
        turns = _link_turns(job.spec, shards)
        segments = TranscriptionMerger().merge(_list_transcribed(chunks), turns)
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
    return AssembledTranscript(
        segments=segments,
        turns=turns,
        language=_choose_language(job, chunks),
        coverage=_measure_coverage(chunks, speech),
        warnings=tuple(warnings),
        roles=_assign_roles(segments, lexicon),
    )


def _check_failures(failed_chunks: _Chunks, chunks: _Chunks) -> None:
    """Raise `EngineError` if too many chunks failed.

    A transcript with gaps is better than none, but one that is all gaps is none.
    """
    if not failed_chunks or (
        len(failed_chunks) < len(chunks) and settings().failed_chunks == "gap"
    ):
        return
    raise EngineError(
        f"{len(failed_chunks)} of {len(chunks)} chunks could not be transcribed: "
        f"{failed_chunks[0].failure_reason}"
    )


def _group_by_channel(chunks: _Chunks) -> dict[int, list[TranscribedChunk]]:
    """The transcribed chunks of each channel."""
    chunks_by_channel: defaultdict[int, list[StoredPart[ChunkResult]]] = defaultdict(list)
    for stored in chunks:
        chunks_by_channel[stored.interval.channel or 0].append(stored)
    return {
        channel: _list_transcribed(chunks_by_channel[channel])
        for channel in sorted(chunks_by_channel)
    }


def _read_bleed(job_id: str, chunks: _Chunks) -> dict[int, list[Interval]]:
    """Where each channel carries only the sound of another."""
    bleed_by_chunk = coverage_retry.read_bleed(job_id)
    bleed_by_channel: defaultdict[int, list[Interval]] = defaultdict(list)
    for stored in chunks:
        bleed_by_channel[stored.interval.channel or 0] += bleed_by_chunk.get(stored.position, ())
    return bleed_by_channel


def _list_transcribed(chunks: _Chunks) -> list[TranscribedChunk]:
    return [
        TranscribedChunk(stored.interval, stored.result.transcription.words)
        for stored in chunks
        if stored.result
    ]


def _link_turns(spec: JobSpec, shards: Sequence[StoredPart[Diarization]]) -> tuple[Turn, ...]:
    if spec.diarizer is None:
        return ()
    return link_speakers(
        [Shard(stored.interval, stored.result) for stored in shards if stored.result],
        threshold=catalog.diarizer(spec.diarizer).same_speaker,
        max_speakers=spec.max_speakers,
    )


def _failure_warning(
    code: WarningCode, summary: str, stored: StoredPart[ChunkResult] | StoredPart[Diarization]
) -> TranscriptWarning:
    sentence = f"{summary}: {stored.failure_reason}"
    return TranscriptWarning(code, sentence, stored.interval.start, stored.interval.end)


def _collect_notes(chunks: _Chunks) -> list[Note]:
    return [
        note for stored in chunks if stored.result for note in stored.result.transcription.notes
    ]


def _find_gap_notes(
    chunks: _Chunks, segments: Sequence[Segment], speech: _SpeechByChunk, notes: Sequence[Note]
) -> list[Note]:
    """Where speech has no words in the whole: the next chunk may have what one passed over.

    Each channel that is a speaker is checked by itself.
    """
    gap_notes: list[Note] = []
    for channel in sorted({stored.interval.channel for stored in chunks}, key=str):
        intervals = [
            interval
            for stored in chunks
            if stored.result and stored.interval.channel == channel
            for interval in speech.get(stored.position, ())
        ]
        words = [
            word
            for segment in segments
            if channel is None or segment.speaker == channel
            for word in segment.words
        ]
        gap_notes += build_notes(find_unexplained_gaps(measure_coverage(words, intervals), notes))
    return gap_notes


def _choose_language(job: JobRecord, chunks: _Chunks) -> str | None:
    """The requested language, or the one that most chunks are in."""
    languages = Counter(
        stored.result.transcription.language
        for stored in chunks
        if stored.result and stored.result.transcription.language
    )
    return job.language or (languages.most_common(1)[0][0] if languages else None)


def _measure_coverage(chunks: _Chunks, speech: _SpeechByChunk) -> dict[int, Coverage]:
    """Return how much of the speech in each chunk has words."""
    return {
        stored.position: measure_coverage(
            stored.result.transcription.words, speech.get(stored.position, ())
        )
        for stored in chunks
        if stored.result
    }


def _assign_roles(segments: Sequence[Segment], lexicon: Lexicon) -> dict[int, Role]:
    """No speaker gets a role that the context does not list."""
    return (
        roles.find_roles(((segment.speaker, segment.text) for segment in segments), lexicon)
        if lexicon
        else {}
    )
