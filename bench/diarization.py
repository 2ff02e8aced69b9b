"""Diarization error rates on recordings whose turns are known: whole, and in shards.

``python -m bench.diarization FOLDER [SECONDS]``: every ``NAME.rttm`` in the folder has the turns of
the recording ``NAME.*`` beside it. Shards are about SECONDS long, by default half a recording; how
they are cut and how their speakers are joined is what a job does. Every diarizer that is installed
and works on this machine is measured. ``make test-engines`` installs what this needs.

DER as pyannote.metrics counts it, over the whole recording, without collar, overlapping speech
included; confusion is its part that is right about speech and wrong about the speaker.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path

from pyannote.core import Annotation, Segment, Timeline
from pyannote.metrics.diarization import DiarizationErrorRate

from bench.shards import turns
from bench.table import show
from chunking.cut import DEFAULT_CONFIG, AudioChunker
from chunking.plan import Window
from engines import catalog
from engines.base import Diarizer
from engines.catalog import DiarizerSpec
from transcripts.types import Turn


def main(folder: Path, seconds: float | None) -> None:
    """Print a table for each diarizer."""
    recordings = [_beside(rttm) for rttm in sorted(folder.glob("*.rttm"))]
    for spec in (catalog.CLASSIC, catalog.PYANNOTE):
        if not spec.installed():
            continue
        diarizer = catalog.load_diarizer(spec)
        rates = (DiarizationErrorRate(), DiarizationErrorRate())
        rows = [_row(spec, diarizer, recording, seconds, rates) for recording in recordings]
        whole, cut = (_shares(rate[:]) for rate in rates)
        show(
            f"{spec.name}: whole recordings, and the same in shards",
            ("recording", "s", "CPU s", "speakers", "found", "DER", "confusion",
             "shards", "found", "DER", "confusion"),
            [*rows, ("all", "", "", "", "", *whole, "", "", *cut)],
        )  # fmt: skip


def _beside(rttm: Path) -> Path:
    others = (path for path in sorted(rttm.parent.glob(f"{rttm.stem}.*")) if path != rttm)
    return next(path for path in others if path.suffix not in (".txt", ".json"))


def _row(
    spec: DiarizerSpec,
    diarizer: Diarizer,
    recording: Path,
    seconds: float | None,
    rates: tuple[DiarizationErrorRate, DiarizationErrorRate],
) -> Sequence[object]:
    with tempfile.TemporaryDirectory() as folder:
        workdir = Path(folder)
        cutting = AudioChunker().take_apart(recording, workdir)
        length = seconds or cutting.duration / 2
        in_shards = AudioChunker(replace(DEFAULT_CONFIG, shard_duration=length))
        shards = in_shards.take_apart(recording, workdir).shards
        began = time.process_time()
        whole = turns(spec, diarizer, cutting, [Window(0.0, cutting.duration)], workdir)
        took = time.process_time() - began
        linked = turns(spec, diarizer, cutting, shards, workdir)
    truth = _truth(recording.with_suffix(".rttm"))
    return (
        recording.name,
        f"{cutting.duration:.0f}",
        f"{took:.1f}",
        len(truth.labels()),
        *_scores(rates[0], truth, whole, cutting.duration),
        len(shards),
        *_scores(rates[1], truth, linked, cutting.duration),
    )


def _truth(rttm: Path) -> Annotation:
    truth = Annotation()
    for number, line in enumerate(rttm.read_text().splitlines()):
        _, _, _, start, length, _, _, speaker, *_ = line.split()
        truth[Segment(float(start), float(start) + float(length)), number] = speaker
    return truth


def _scores(
    rate: DiarizationErrorRate, truth: Annotation, told: Sequence[Turn], seconds: float
) -> tuple[object, ...]:
    """How many speakers there are, and both rates, which are added to those before."""
    found = Annotation()
    for number, turn in enumerate(told):
        found[Segment(turn.start, turn.end), number] = turn.speaker
    whole = Timeline([Segment(0.0, seconds)])
    return len(found.labels()), *_shares(rate(truth, found, uem=whole, detailed=True))


def _shares(counted: Mapping[str, float]) -> tuple[str, str]:
    wrong = ("false alarm", "missed detection", "confusion")
    error = sum(counted[kind] for kind in wrong) / counted["total"]
    return f"{error:.3f}", f"{counted['confusion'] / counted['total']:.3f}"


if __name__ == "__main__":
    main(Path(sys.argv[1]), float(sys.argv[2]) if len(sys.argv) > 2 else None)
