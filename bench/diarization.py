"""Diarization error rates on recordings whose turns are known: whole, and in shards.

``python -m bench.diarization FOLDER [SECONDS]``: every ``NAME.rttm`` in the folder has the turns of
the recording ``NAME.*`` beside it. Shards are about SECONDS long, by default half a recording; how
they are cut and how their speakers are joined is what a job does. Every diarizer that is installed
and works on this machine is measured. ``make test-engines`` installs what the large one needs.

DER without collar, over the whole recording, overlapping speech included; confusion is its part
that is right about speech and wrong about the speaker.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

import simpleder

from bench import given
from bench.figures import Figure, Measured, tell
from bench.noise import Errors, compared
from bench.shards import turns
from bench.table import show
from chunking.cut import DEFAULT_CONFIG, AudioChunker
from chunking.plan.planner import Window
from core.errors import TranscribeError
from engines import catalog
from engines.base import Diarizer
from engines.catalog import DiarizerSpec
from transcripts.types import Turn

#: What shards may cost, of the speech that there is.
GOAL = 0.005

#: A speaker's name, start and end in seconds.
Told = list[tuple[str, float, float]]


def main(folder: Path, seconds: float | None) -> int:
    """Print a table for each diarizer; returns 1 where shards cost more than they may."""
    return tell("diarization", measure(recordings(folder), seconds))


def recordings(folder: Path) -> list[Path]:
    """Those whose turns are known."""
    return [_beside(rttm) for rttm in sorted(folder.glob("*.rttm"))]


def measure(of: Sequence[Path], seconds: float | None = None) -> Measured:
    """A row for each diarizer. *seconds*: of a shard; None: half a recording."""
    return Measured([_figure(spec, of, seconds) for spec in _installed()])


def _installed() -> Iterator[DiarizerSpec]:
    """Those that can be loaded here."""
    for spec in (catalog.CLASSIC, catalog.NEURAL, catalog.PYANNOTE):
        with suppress(TranscribeError):
            if spec.is_installed() and (not spec.offer or catalog.query_capabilities(spec)):
                yield spec


def _figure(spec: DiarizerSpec, of: Sequence[Path], seconds: float | None) -> Figure:
    diarizer = catalog.load_diarizer(spec)
    found = [_told(spec, diarizer, recording, seconds) for recording in of]
    show(
        f"{spec.name}: whole recordings, and the same in shards",
        ("recording", "s", "CPU s", "speakers", "found", "DER", "confusion",
         "shards", "found", "DER", "confusion"),
        [*(one.row() for one in found), _all(found)],
    )  # fmt: skip
    difference = compared([one.errors for one in found])
    return Figure(
        f"DER of {spec.name} in shards, {len(found)} recordings",
        f"≤ whole + {100 * GOAL} points, beside chance",
        f"{difference.ours:.3f} ({difference.points})",
        difference.within(GOAL),
        difference.ours / difference.floor if difference.floor else None,
        f"the same on whole recordings, {difference.floor:.3f}",
    )


@dataclass(frozen=True, slots=True)
class Recording:
    """What was told of one; of errors, seconds by kind."""

    name: str
    seconds: float
    took: float
    shards: int
    truth: Told
    whole: Told
    linked: Told

    @property
    def errors(self) -> Errors:
        whole, linked = (_counted(self.truth, told) for told in (self.whole, self.linked))
        return Errors(whole["ref_length"], _wrong(whole), _wrong(linked))

    def row(self) -> tuple[object, ...]:
        return (
            self.name,
            f"{self.seconds:.0f}",
            f"{self.took:.1f}",
            _speakers(self.truth),
            _speakers(self.whole),
            *_shares([_counted(self.truth, self.whole)]),
            self.shards,
            _speakers(self.linked),
            *_shares([_counted(self.truth, self.linked)]),
        )


def _all(found: Sequence[Recording]) -> tuple[object, ...]:
    whole = _shares([_counted(one.truth, one.whole) for one in found])
    linked = _shares([_counted(one.truth, one.linked) for one in found])
    return "all", "", "", "", "", *whole, "", "", *linked


def _told(
    spec: DiarizerSpec, diarizer: Diarizer, recording: Path, seconds: float | None
) -> Recording:
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
    return Recording(
        recording.name,
        cutting.duration,
        took,
        len(shards),
        truth(recording),
        _named(whole),
        _named(linked),
    )


def _beside(rttm: Path) -> Path:
    others = (path for path in sorted(rttm.parent.glob(f"{rttm.stem}.*")) if path != rttm)
    return next(path for path in others if path.suffix not in (".txt", ".json"))


def truth(recording: Path) -> Told:
    """Who speaks when, by the file beside the recording."""
    lines = recording.with_suffix(".rttm").read_text().splitlines()
    turns = [line.split() for line in lines]
    return [(turn[7], float(turn[3]), float(turn[3]) + float(turn[4])) for turn in turns]


def _named(told: Sequence[Turn]) -> Told:
    return [(str(turn.speaker), turn.start, turn.end) for turn in told]


def _speakers(told: Told) -> int:
    return len({speaker for speaker, _, _ in told})


def _counted(truth: Told, told: Told) -> Mapping[str, float]:
    counted: Mapping[str, float] = simpleder.DER(truth, told, detailed=True)
    return counted


def _wrong(counted: Mapping[str, float]) -> float:
    return counted["false_alarm"] + counted["miss"] + counted["confusion"]


def _shares(counted: Sequence[Mapping[str, float]]) -> tuple[str, str]:
    """DER and confusion of all together."""
    total = sum(one["ref_length"] for one in counted)
    confusion = sum(one["confusion"] for one in counted)
    return f"{sum(map(_wrong, counted)) / total:.3f}", f"{confusion / total:.3f}"


if __name__ == "__main__":
    parser = given.parser(__doc__)
    parser.add_argument("recordings", type=given.folder, metavar="FOLDER")
    parser.add_argument("seconds", type=float, nargs="?", metavar="SECONDS", help="of a shard")
    asked = parser.parse_args()
    sys.exit(main(asked.recordings, asked.seconds))
