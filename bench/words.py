"""Word error rates of the whole pipeline, against the engine alone on whole files.

``python -m bench.words FOLDER``: every ``NAME.txt`` in the folder is the reference of the recording
``NAME.*`` beside it (lower case, no punctuation, an utterance a line), every ``NAME.rttm`` its
speaker turns. What could be chance is told by drawing utterances.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
import simpleder

from bench import bare_whisper, given, whole
from bench.diarization import truth
from bench.figures import Figure, Measured, tell
from bench.noise import Errors, compared
from bench.normal import normalize
from bench.service import TRANSCRIBE
from bench.table import show
from core.errors import TranscribeError
from engines import catalog
from transcribe_api.stack.processes import count_usable_cores

#: Points of word error rate that chunking may cost in one recording; of all together, none.
ALLOWED = 0.03


#: What each engine hears by itself on a whole file.
_ALONE: Mapping[str, Callable[[Path], str]] = {
    "sphinx": whole.heard,
    "whisper": bare_whisper.hear_in_sequence,
}


def main(folder: Path, engine: str) -> int:
    """Print a row for each recording; returns 1 if chunking cost more than it may."""
    return tell("words", measure(recordings(folder), engine))


def usual_engine() -> str:
    """``whisper`` where its model can be loaded."""
    try:
        catalog.query_capabilities(catalog.WHISPER)
    except TranscribeError:
        return catalog.SPHINX.name
    return catalog.WHISPER.name


def recordings(folder: Path) -> list[Path]:
    """Those whose words are known."""
    return sorted(path for path in folder.iterdir() if _reference(path).is_file())


def measure(of: Sequence[Path], engine: str | None = None) -> Measured:
    """The row of all recordings in English together; those in other languages are left out."""
    engine = engine or usual_engine()
    known = _manifest(of[0].parent) if of else {}
    english = [one for one in of if known.get(one.name, {}).get("language", "en")[:2] == "en"]
    found = [_heard(recording, *heard) for recording, *heard in _both(english, engine)]
    show(
        f"words: the pipeline with {engine} against the engine alone on the whole file",
        ("recording", "chunks", "WER alone", "WER", "difference", "DER", "speakers"),
        [one.row() for one in found],
    )
    _show_categories(found, known)
    worse = [one.name for one in found if one.worse > ALLOWED]
    print(f"\n{len(found)} recordings, {len(worse)} more than {ALLOWED:.0%} worse: {worse}")
    difference = compared([errors for one in found for errors in one.utterances])
    cut = sum(one.chunks > 1 for one in found)
    figure = Figure(
        f"WER of chunks with {engine}, {len(found)} recordings, {cut} of them cut",
        "≤ the whole file, beside chance",
        f"{difference.ours:.4f} ({difference.points})",
        difference.within(0.0),
        difference.ours / difference.floor if difference.floor else None,
        f"the engine alone on whole files, {difference.floor:.4f}",
    )
    return Measured([figure])


@dataclass(frozen=True, slots=True)
class Heard:
    """What was heard of one recording."""

    name: str
    chunks: int
    #: In their order.
    utterances: Sequence[Errors]
    der: str
    speakers: int

    @property
    def worse(self) -> float:
        return self._rate(lambda one: one.ours) - self._rate(lambda one: one.floor)

    def _rate(self, errors: Callable[[Errors], float]) -> float:
        return sum(map(errors, self.utterances)) / sum(one.size for one in self.utterances)

    def row(self) -> tuple[object, ...]:
        return (
            self.name,
            self.chunks,
            f"{self._rate(lambda one: one.floor):.3f}",
            f"{self._rate(lambda one: one.ours):.3f}",
            f"{self.worse:+.3f}",
            self.der,
            self.speakers,
        )


def _manifest(folder: Path) -> dict[str, dict[str, Any]]:
    """What a ``manifest.json`` beside the recordings says of each, by its name."""
    path = folder / "manifest.json"
    return (
        {one["file"]: one for one in json.loads(path.read_text())["files"]}
        if path.is_file()
        else {}
    )


def _show_categories(found: Sequence[Heard], known: Mapping[str, Mapping[str, Any]]) -> None:
    """The rates of all recordings of a kind together."""
    kinds: dict[str, list[Errors]] = {}
    for one in found:
        kind = known.get(one.name, {}).get("category", "-")
        kinds.setdefault(kind, []).extend(one.utterances)
    show(
        "words, by kind of recording",
        ("kind", "words", "WER alone", "WER"),
        [(kind, *_rates(errors)) for kind, errors in sorted(kinds.items())],
    )


def _rates(errors: Sequence[Errors]) -> tuple[str, ...]:
    size = sum(one.size for one in errors)
    floor, ours = sum(one.floor for one in errors), sum(one.ours for one in errors)
    return f"{size:.0f}", f"{floor / size:.3f}", f"{ours / size:.3f}"


def _both(of: Sequence[Path], engine: str) -> list[tuple[Path, str, dict[str, Any]]]:
    """By the engine alone, a process a core; and what the pipeline left, read."""
    with ProcessPoolExecutor(count_usable_cores()) as pool:
        alone = list(pool.map(_ALONE[engine], of))
    with tempfile.TemporaryDirectory() as out:
        command = [TRANSCRIBE, *of, "-o", out, "--engine", engine]
        subprocess.run(command, check=True, stdout=sys.stderr)
        ours = [left(folder) for folder in _folders(of, Path(out))]
    return list(zip(of, alone, ours, strict=True))


def _folders(of: Sequence[Path], out: Path) -> list[Path]:
    """Where `transcribe -o` writes what becomes of each: that it has for itself if it is alone."""
    if len(of) == 1:
        return [out]
    names: list[str] = []
    for recording in of:
        names.append(recording.name if recording.stem in names else recording.stem)
    return [out / name for name in names]


def left(folder: Path) -> dict[str, Any]:
    """The artefacts that `transcribe -o` wrote there, by name."""
    names = ("final_transcription", "diarization_results", "chunks/chunks_metadata")
    paths = ((name, folder / f"{name}.json") for name in names)
    return {name: json.loads(path.read_text()) for name, path in paths if path.is_file()}


def _heard(recording: Path, alone: str, ours: dict[str, Any]) -> Heard:
    lines = map(normalize, _reference(recording).read_text().splitlines())
    spoken = [line for line in lines if line.split()]
    final = ours["final_transcription"]
    text = normalize(" ".join(one["text"] for one in final["segments"]))
    return Heard(
        recording.name,
        len(ours["chunks/chunks_metadata"]["chunks"]),
        [
            Errors(len(line.split()), *wrong)
            for line, *wrong in zip(
                spoken, _wrong(spoken, normalize(alone)), _wrong(spoken, text), strict=True
            )
        ],
        _der(recording, ours.get("diarization_results")),
        len(final["speakers"]),
    )


def _wrong(spoken: Sequence[str], heard: str) -> Sequence[int]:
    """Of each utterance the words that were put in, left out or taken for others.

    All are aligned as one, for nobody tells where one ends in what was heard.
    """
    utterance = [number for number, line in enumerate(spoken) for _ in line.split()]
    wrong = [0] * len(spoken)
    [alignment] = jiwer.process_words(" ".join(spoken), heard or "-").alignments
    for step in alignment:
        if step.type == "insert":
            # What is put in after the last word has none to stand before.
            wrong[utterance[min(step.ref_start_idx, len(utterance) - 1)]] += (
                step.hyp_end_idx - step.hyp_start_idx
            )
        elif step.type != "equal":
            for word in range(step.ref_start_idx, step.ref_end_idx):
                wrong[utterance[word]] += 1
    return wrong


def _der(recording: Path, told: Any) -> str:
    if not recording.with_suffix(".rttm").is_file():
        return ""
    turns = [(turn["speaker_id"], turn["start_time"], turn["end_time"]) for turn in told["turns"]]
    return f"{simpleder.DER(truth(recording), turns):.3f}" if turns else "1.000"


def _reference(recording: Path) -> Path:
    return Path() if recording.suffix in (".txt", ".rttm") else recording.with_suffix(".txt")


if __name__ == "__main__":
    parser = given.parser(__doc__)
    parser.add_argument("recordings", type=given.folder, metavar="FOLDER")
    parser.add_argument("--engine", choices=[*_ALONE], default=usual_engine())
    told = parser.parse_args()
    sys.exit(main(told.recordings, told.engine))
