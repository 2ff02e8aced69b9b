"""Transcribes the sample conversation as a user would, and says how well that went."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import jiwer

SAMPLES = Path(__file__).resolve().parent
RECORDING = SAMPLES / "conversation.flac"


def main(output: Path) -> int:
    """Write the transcript into *output*; returns the exit code."""
    command = Path(sys.executable).with_name("transcribe")
    done = subprocess.run([command, RECORDING, "-o", output], check=False)
    if done.returncode:
        return done.returncode
    print((output / "transcription.srt").read_text())
    print(f"Word error rate: {word_error_rate(output):.1%}")
    print("Files:")
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        print(f"  {path}")
    return 0


def word_error_rate(output: Path) -> float:
    """Share of words that differ from what was really said."""
    spoken = " ".join(RECORDING.with_suffix(".txt").read_text().split())
    heard = (output / "final_transcription.json").read_text()
    return float(jiwer.wer(spoken, " ".join(_texts(heard)).lower()))


def _texts(document: str) -> list[str]:
    return [segment["text"] for segment in json.loads(document)["segments"]]


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
