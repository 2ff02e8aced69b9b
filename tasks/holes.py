"""Speech without words: heard once more, and told of where it stays so."""

from __future__ import annotations

import json
import wave
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import structlog

from core import layout, scratch
from core.errors import EngineError, NotFound
from core.parts import PartId
from core.storage import storage
from transcripts import coverage
from transcripts.stitch import shift
from transcripts.stored import spans_from_json
from transcripts.types import Heard, Span, Stretch, Word

log = structlog.get_logger(__name__)

#: Sound on both sides of a hole with which it is heard again (seconds): engines need to settle.
MARGIN = 0.5
#: Of a hole that is more of its chunk than this, an engine would hear what it has heard already.
MOST_OF_CHUNK = 0.8


def speech(job_id: str) -> Mapping[int, Sequence[Span]]:
    """Where somebody seems to speak in each chunk, as `prepare` wrote it down."""
    return _stretches(job_id, "speech")


def bleed(job_id: str) -> Mapping[int, Sequence[Span]]:
    """Where in each chunk its channel only hears another one."""
    return _stretches(job_id, "bleed")


def _stretches(job_id: str, what: str) -> Mapping[int, Sequence[Span]]:
    try:
        stored = storage().get_bytes(layout.artefact(job_id, layout.CHUNKS_METADATA))
    except NotFound:
        return {}
    chunks = json.loads(stored)["chunks"]
    return {chunk["index"]: spans_from_json(chunk.get(what, ())) for chunk in chunks}


def heard_again(
    part: PartId, place: Stretch, heard: Heard, audio: Path, listen: Callable[[Path], Heard]
) -> Heard:
    """The same with the words of a second hearing in its holes, each of which is cut out once.

    *heard* is in times of the recording; *audio* is the chunk that lies at *place*. A second
    hearing that fails costs nothing of the first.
    """
    if not coverage.may_have_holes(heard.words, place):
        return heard
    known = speech(part.job_id).get(part.position, ())
    for hole in coverage.unexplained(coverage.measure(heard.words, known), heard.notes):
        if hole.duration <= MOST_OF_CHUNK * place.duration:
            words = _heard_in(hole, place, audio, listen)
            heard = replace(heard, words=coverage.filled(heard.words, hole, words))
    return heard


def _heard_in(
    hole: Span, place: Stretch, audio: Path, listen: Callable[[Path], Heard]
) -> tuple[Word, ...]:
    start = max(place.start, hole.start - MARGIN)
    with _cut(audio, start - place.start, hole.end + MARGIN - place.start) as piece:
        try:
            return shift(listen(piece).words, start)
        except EngineError as error:
            log.warning("a hole was not heard again", start=hole.start, reason=str(error))
            return ()


@contextmanager
def _cut(audio: Path, start: float, end: float) -> Iterator[Path]:
    """A file with this part of a WAV file, which may end sooner (seconds)."""
    with scratch.folder("hole-") as folder:
        piece = folder / "hole.wav"
        with wave.open(str(audio)) as source, wave.open(str(piece), "wb") as target:
            rate = source.getframerate()
            source.setpos(round(start * rate))
            target.setparams(source.getparams())
            target.writeframes(source.readframes(round((end - start) * rate)))
        yield piece
