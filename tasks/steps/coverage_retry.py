"""Transcribe gaps (speech without words) a second time."""

from __future__ import annotations

import json
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import structlog

from core import scratch
from core.errors import EngineError, NotFound
from core.jobs.parts import PartId
from core.storage import layout, storage
from transcripts import coverage
from transcripts.serialization import intervals_from_json
from transcripts.stitch import shift_words
from transcripts.types import ChannelInterval, Interval, Transcription, Word

if TYPE_CHECKING:
    from pydub import AudioSegment

log = structlog.get_logger(__name__)

#: Audio in seconds added on both sides of a gap for its second transcription: engines need context.
MARGIN_SECONDS = 0.5
#: A gap that is a larger share of its chunk is skipped: the result would be the same.
MAX_GAP_SHARE = 0.8


def read_speech(job_id: str) -> Mapping[int, Sequence[Interval]]:
    """Return the intervals of detected speech by chunk, as `prepare` stored them."""
    return _read_intervals(job_id, "speech")


def read_bleed(job_id: str) -> Mapping[int, Sequence[Interval]]:
    """Return the intervals by chunk in which its channel only carries another channel's speech."""
    return _read_intervals(job_id, "bleed")


def _read_intervals(job_id: str, field: str) -> Mapping[int, Sequence[Interval]]:
    try:
        metadata = storage().get_bytes(layout.artefact(job_id, layout.CHUNKS_METADATA))
    except NotFound:
        return {}
    chunks = json.loads(metadata)["chunks"]
    return {chunk["index"]: intervals_from_json(chunk.get(field, ())) for chunk in chunks}


def retry_gaps(
    part: PartId,
    interval: ChannelInterval,
    transcription: Transcription,
    audio: Path,
    transcribe: Callable[[Path], Transcription],
) -> Transcription:
    """Return the transcription with the words of a second attempt at each gap.

    *transcription* uses times of the recording; *audio* is the chunk at *interval*. If a second
    attempt fails, the first result stays.
    """
    if not coverage.may_have_gaps(transcription.words, interval):
        return transcription
    speech_intervals = read_speech(part.job_id).get(part.position, ())
    for gap in coverage.find_unexplained_gaps(
        coverage.measure_coverage(transcription.words, speech_intervals), transcription.notes
    ):
        if gap.duration <= MAX_GAP_SHARE * interval.duration:
            words = _transcribe_gap(gap, interval, audio, transcribe)
            transcription = replace(
                transcription, words=coverage.fill_gap(transcription.words, gap, words)
            )
    return transcription


def _transcribe_gap(
    gap: Interval,
    interval: ChannelInterval,
    audio: Path,
    transcribe: Callable[[Path], Transcription],
) -> tuple[Word, ...]:
    start = max(interval.start, gap.start - MARGIN_SECONDS)
    with _cut_clip(
        audio, start - interval.start, gap.end + MARGIN_SECONDS - interval.start
    ) as clip:
        try:
            return shift_words(transcribe(clip).words, start)
        except EngineError as error:
            log.warning("a gap was not heard again", start=gap.start, reason=str(error))
            return ()


@contextmanager
def _cut_clip(audio: Path, start: float, end: float) -> Iterator[Path]:
    """Yield a file with this part (seconds) of a WAV file, which may end earlier."""
    with scratch.temporary_folder("gap-") as folder:
        clip = folder / "gap.wav"
        with audio.open("rb") as file:
            segment = _load_pydub().from_wav(file)
        segment[round(1000 * start) : round(1000 * end)].export(str(clip), format="wav").close()
        yield clip


def _load_pydub() -> type[AudioSegment]:
    with warnings.catch_warnings():
        # It warns that there is no ffmpeg command; WAV needs none.
        warnings.simplefilter("ignore")
        from pydub import AudioSegment

    segment_type: type[AudioSegment] = AudioSegment
    return segment_type
