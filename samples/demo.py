"""Transcribes the sample conversations as a user would, and says how well that went."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import jiwer
from rich.console import Console
from rich.table import Table

SAMPLES = Path(__file__).resolve().parent
#: An English conversation; a Portuguese one, for engines that find the language.
ENGLISH, PORTUGUESE = SAMPLES / "conversation.flac", SAMPLES / "conversa.flac"


@dataclass(frozen=True, slots=True)
class Result:
    """What came of a sample."""

    recording: Path
    engine: str
    model: str
    language: str
    #: Share of words that differ from what was really said.
    word_error_rate: float

    def row(self) -> tuple[str, ...]:
        rate = f"{self.word_error_rate:.1%}"
        return self.recording.name, self.engine, self.model, self.language, rate


def main(output: Path) -> int:
    """Write the transcripts into *output*; returns the exit code."""
    if code := transcribe(ENGLISH, output):
        return code
    print((output / "transcription.srt").read_text())
    results = [read_result(ENGLISH, output)]
    if results[0].engine != "sphinx":  # which knows English only
        portuguese = output / PORTUGUESE.stem
        if code := transcribe(PORTUGUESE, portuguese):
            return code
        print((portuguese / "transcription.txt").read_text())
        results.append(read_result(PORTUGUESE, portuguese))
    show(results)
    if len(results) > 1:
        print(f"A synthesizer speaks both parts of {PORTUGUESE.name}: people are heard better.")
    print("Files:")
    for path in sorted(path for path in output.rglob("*") if path.is_file()):
        print(f"  {path}")
    return 0


def transcribe(recording: Path, output: Path) -> int:
    """Have a recording transcribed; the engine and the language are found. Gives the exit code."""
    command = Path(sys.executable).with_name("transcribe")
    return subprocess.run([command, recording, "-o", output], check=False).returncode


def read_result(recording: Path, output: Path) -> Result:
    """What the artefacts in *output* say, against what is really said."""
    heard = _read(output / "whisper_results.json")
    final = _read(output / "final_transcription.json")
    spoken = " ".join(recording.with_suffix(".txt").read_text().split())
    text = " ".join(segment["text"] for segment in final["segments"])
    return Result(
        recording,
        heard["engine"],
        heard.get("model") or "-",
        heard.get("language") or "-",
        float(jiwer.wer(spoken, _as_reference(text))),
    )


def show(results: list[Result]) -> None:
    table = Table("recording", "engine", "model", "language", "word error rate")
    for result in results:
        table.add_row(*result.row())
    Console().print(table)


def _as_reference(text: str) -> str:
    """Small letters without punctuation, as the references are written."""
    kept = (character if character.isalnum() or character in "'-" else " " for character in text)
    return " ".join("".join(kept).lower().split())


def _read(path: Path) -> dict[str, Any]:
    read: dict[str, Any] = json.loads(path.read_text())
    return read


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
