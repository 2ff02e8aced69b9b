"""What cuts into speech cost: words doubled, lost, changed or put in another order beside them.

``python -m bench.borders FOLDER [SECONDS [OVERLAP]]``: every ``NAME.txt`` in the folder is the
reference of the recording ``NAME.*`` beside it. Every recording is cut as if it had no pause, into
windows of SECONDS (11) that share OVERLAP (5); and so is one that is glued of all of them, with
the pauses taken out. The engine hears each window alone and each recording whole; where the two
transcripts differ beside a cut, the differences are counted.

Recordings in which the engine alone errs in more than half of the words tell nothing.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from itertools import pairwise
from pathlib import Path

import jiwer

from bench import given
from bench.table import show
from chunking.cut import AudioChunker
from chunking.decode.decoder import BYTES_PER_SECOND, SAMPLE_RATE
from chunking.pcm import new_wav
from chunking.plan.planner import PlanSettings, plan_windows
from engines import catalog
from engines.base import Hints, Recognizer
from transcripts.stitch import TranscribedChunk, shift_words, stitch
from transcripts.types import Interval, Word

#: Two words this near one another may be one (seconds).
NEAR = 0.5
#: So far from an overlap its cut can still be felt (seconds).
FELT = 0.5
#: Recordings in which the engine alone errs more often are left out.
HOPELESS = 0.5
#: The glued recording ends after this (seconds).
LONGEST = 600.0


HEADS = (
    *("recording", "cuts", "WER whole", "WER stitched", "WER without stitching"),
    *("doubled", "lost", "reordered", "these without stitching"),
)


@dataclass(frozen=True, slots=True)
class Hearing:
    """One recording heard whole, and in windows."""

    name: str
    reference: str
    whole: tuple[Word, ...]
    chunks: tuple[TranscribedChunk, ...]

    @property
    def zones(self) -> list[Interval]:
        """Where two windows overlap, and a little more."""
        return [
            Interval(after.window.start - FELT, before.window.end + FELT)
            for before, after in pairwise(self.chunks)
        ]


@dataclass(frozen=True, slots=True)
class Verdict:
    """How a stitched transcript compares with the one of the whole recording."""

    wer_whole: float
    wer: float
    #: Of the words that the reference has, too, in the places that `Hearing.zones` names.
    doubled: tuple[Word, ...]
    lost: tuple[Word, ...]
    reordered: tuple[Word, ...]


def main(folder: Path, seconds: float, overlap: float) -> int:
    """Print a row for each recording; 1 if a word was doubled or reordered anywhere."""
    settings = PlanSettings(chunk_duration=seconds, chunk_overlap=overlap)
    rows = []
    bad = 0
    for hearing in hearings(folder, settings):
        found = judge(hearing, stitch(hearing.chunks))
        floor = judge(hearing, cut_in_the_middle(hearing.chunks))
        rows.append(_row(hearing, found, floor))
        bad += len(found.doubled) + len(found.reordered)
    show(
        f"borders: windows of {seconds:g} s that share {overlap:g} s, all cut into speech",
        HEADS,
        rows,
    )
    return 1 if bad else 0


def hearings(folder: Path, settings: PlanSettings) -> Iterator[Hearing]:
    """What the engine makes of every recording that is long enough to be cut, and of the glue."""
    engine = catalog.load_recognizer(catalog.SPHINX)
    glue, told = bytearray(), []
    for recording, reference in _recordings(folder):
        pcm, speech = _decoded(recording)
        hearing = _hear(engine, recording.name, reference, pcm, settings)
        if jiwer.wer(reference, plain(hearing.whole)) > HOPELESS:
            continue
        if len(glue) < LONGEST * BYTES_PER_SECOND:
            glue += b"".join(_of(pcm, span) for span in speech)
            told.append(reference)
        if len(hearing.chunks) > 1:
            yield hearing
    yield _hear(engine, "all, without pauses", " ".join(told), bytes(glue), settings)


def judge(hearing: Hearing, told: Sequence[Word]) -> Verdict:
    """Count what is wrong beside the cuts."""
    truth = _right(hearing.whole, hearing.reference.split())
    return Verdict(
        wer_whole=jiwer.wer(hearing.reference, plain(hearing.whole) or "-"),
        wer=jiwer.wer(hearing.reference, plain(told) or "-"),
        doubled=tuple(_beside(hearing.zones, _doubled(told, hearing.whole))),
        lost=tuple(_beside(hearing.zones, _lost(truth, told))),
        reordered=tuple(_beside(hearing.zones, _reordered(truth, told))),
    )


def cut_in_the_middle(chunks: Sequence[TranscribedChunk]) -> tuple[Word, ...]:
    """The peer's way: each window's words up to the middle of what it shares with its neighbour."""
    edges = [(after.window.start + before.window.end) / 2 for before, after in pairwise(chunks)]
    spans = zip([0.0, *edges], [*edges, float("inf")], strict=True)
    return tuple(
        word
        for chunk, (start, end) in zip(chunks, spans, strict=True)
        for word in chunk.words
        if start <= (word.start + word.end) / 2 < end
    )


def plain(words: Iterable[Word]) -> str:
    """The text as references have it."""
    return " ".join(word.text.lower() for word in words)


def _recordings(folder: Path) -> Iterator[tuple[Path, str]]:
    for path in sorted(folder.iterdir()):
        reference = path.with_suffix(".txt")
        if path.suffix not in (".txt", ".rttm", ".json", ".md") and reference.is_file():
            yield path, " ".join(reference.read_text().split())


def _decoded(recording: Path) -> tuple[bytes, tuple[Interval, ...]]:
    with tempfile.TemporaryDirectory() as folder:
        cutting = AudioChunker().take_apart(recording, Path(folder))
        return cutting.pcm.read_bytes(), cutting.speech


def _hear(
    engine: Recognizer, name: str, reference: str, pcm: bytes, settings: PlanSettings
) -> Hearing:
    duration = len(pcm) / BYTES_PER_SECOND
    windows = [
        Interval(window.start, window.end)
        for window in plan_windows([Interval(0, duration)], duration, settings)
    ]
    return Hearing(
        name,
        reference,
        _words(engine, pcm, Interval(0, duration)),
        tuple(TranscribedChunk(window, _words(engine, pcm, window)) for window in windows),
    )


def _words(engine: Recognizer, pcm: bytes, window: Interval) -> tuple[Word, ...]:
    with tempfile.NamedTemporaryFile(suffix=".wav") as file:
        with new_wav(Path(file.name)) as target:
            target.writeframes(_of(pcm, window))
        return shift_words(engine.transcribe(Path(file.name), Hints()).words, window.start)


def _of(pcm: bytes, span: Interval) -> bytes:
    first, last = (2 * round(time * SAMPLE_RATE) for time in (span.start, span.end))
    return pcm[first:last]


def _right(words: Sequence[Word], reference: Sequence[str]) -> list[Word]:
    """The words that the reference has in the same place."""
    matcher = SequenceMatcher(None, [word.text.lower() for word in words], reference, False)
    return [word for at, _, size in matcher.get_matching_blocks() for word in words[at : at + size]]


def _doubled(told: Sequence[Word], whole: Sequence[Word]) -> Iterator[Word]:
    """Words that come twice at a time where the whole hearing has them once at most."""
    for word, following in pairwise(told):
        if _same(word, following) and following.start - word.end < NEAR:
            place = Interval(word.start - NEAR, following.end + NEAR)
            if sum(_same(word, one) for one in _within(place, whole)) < 2:
                yield following


def _lost(truth: Sequence[Word], told: Sequence[Word]) -> Iterator[Word]:
    """Words that were heard rightly in the whole, at a time where nothing is told."""
    for word in truth:
        place = Interval(word.start - NEAR, word.end + NEAR)
        near = _within(place, told)
        middle = (word.start + word.end) / 2
        is_told = any(_same(word, one) for one in near)
        if not is_told and not any(one.start <= middle <= one.end for one in near):
            yield word


def _reordered(truth: Sequence[Word], told: Sequence[Word]) -> Iterator[Word]:
    """Of neighbours in the whole, those that are told the other way round."""
    for one, other in pairwise(truth):
        place = Interval(one.start - NEAR, other.end + NEAR)
        if _same(one, other) or other.start - one.end > NEAR:
            continue
        near = [word for word in _within(place, told) if _same(word, one) or _same(word, other)]
        if len(near) == 2 and _same(near[0], other) and _same(near[1], one):
            yield other


def _within(place: Interval, words: Sequence[Word]) -> list[Word]:
    return [word for word in words if word.start >= place.start and word.end <= place.end]


def _same(one: Word, other: Word) -> bool:
    return one.text.lower() == other.text.lower()


def _beside(zones: Sequence[Interval], words: Iterable[Word]) -> Iterator[Word]:
    for word in words:
        if any(zone.start <= word.start and word.end <= zone.end for zone in zones):
            yield word


def _row(hearing: Hearing, found: Verdict, floor: Verdict) -> tuple[object, ...]:
    faults = [(len(one.doubled), len(one.lost), len(one.reordered)) for one in (found, floor)]
    return (
        hearing.name,
        len(hearing.chunks) - 1,
        f"{found.wer_whole:.3f}",
        f"{found.wer:.3f}",
        f"{floor.wer:.3f}",
        *faults[0],
        "/".join(map(str, faults[1])),
    )


if __name__ == "__main__":
    parser = given.parser(__doc__)
    parser.add_argument("recordings", type=given.folder, metavar="FOLDER")
    parser.add_argument("seconds", type=float, nargs="?", default=11.0, help="of a window")
    parser.add_argument("overlap", type=float, nargs="?", default=5.0, help="seconds")
    asked = parser.parse_args()
    sys.exit(main(asked.recordings, asked.seconds, asked.overlap))
