"""Word and diarization error rates of the whole pipeline, against the engine alone on whole files.

``python -m bench.accuracy FOLDER``: every ``NAME.txt`` in the folder is the reference of the
recording ``NAME.*`` beside it (lower case, no punctuation), every ``NAME.rttm`` its speaker turns.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from pathlib import Path

import jiwer
import simpleder

from bench import whole
from bench.table import show

TRANSCRIBE = Path(sys.executable).with_name("transcribe")

#: Points of word error rate that chunking may cost in one file.
ALLOWED = 0.03


def main(folder: Path) -> int:
    """Print a row for each recording; returns 1 if chunking cost more than it may somewhere."""
    recordings = sorted(path for path in folder.iterdir() if _reference(path).is_file())
    with tempfile.TemporaryDirectory() as out:
        subprocess.run([TRANSCRIBE, *recordings, "-o", out], check=True, stdout=sys.stderr)
        rows = [_row(path, Path(out)) for path in recordings]
    show(
        "accuracy: the pipeline against the engine alone on the whole file",
        ("recording", "chunks", "WER alone", "WER", "difference", "DER", "speakers"),
        [row[1:] for row in rows],
    )
    worse = [row[1] for row in rows if row[0]]
    print(f"\n{len(rows)} recordings, {len(worse)} more than {ALLOWED:.0%} worse: {worse}")
    return 1 if worse else 0


def _reference(recording: Path) -> Path:
    return Path() if recording.suffix in (".txt", ".rttm") else recording.with_suffix(".txt")


def _row(recording: Path, out: Path) -> tuple[object, ...]:
    output = next(path for path in (out / recording.stem, out / recording.name) if path.is_dir())
    heard = json.loads((output / "final_transcription.json").read_text())
    spoken = " ".join(_reference(recording).read_text().split())
    alone = jiwer.wer(spoken, whole.heard(recording) or "-")
    ours = jiwer.wer(spoken, " ".join(one["text"] for one in heard["segments"]).lower() or "-")
    return (
        ours - alone > ALLOWED,
        recording.name,
        len(json.loads((output / "chunks/chunks_metadata.json").read_text())["chunks"]),
        f"{alone:.3f}",
        f"{ours:.3f}",
        f"{ours - alone:+.3f}",
        _der(recording, output),
        len(heard["speakers"]),
    )


def _der(recording: Path, output: Path) -> str:
    rttm = recording.with_suffix(".rttm")
    if not rttm.is_file():
        return ""
    turns = [line.split() for line in rttm.read_text().splitlines()]
    truth = [(turn[7], float(turn[3]), float(turn[3]) + float(turn[4])) for turn in turns]
    found = json.loads((output / "diarization_results.json").read_text())["turns"]
    ours = [(turn["speaker_id"], turn["start_time"], turn["end_time"]) for turn in found]
    return f"{simpleder.DER(truth, ours):.3f}" if ours else "1.000"


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
