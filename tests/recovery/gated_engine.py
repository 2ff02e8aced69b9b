"""A stand-in for an engine: says when it begins with a chunk, and waits while a gate is closed.

It is installed beside the stack as somebody else's package would be: see `gated`.
"""

from __future__ import annotations

import math
import os
import time
from pathlib import Path

from engines.base import Hints
from engines.catalog import EngineSpec, Requirement
from transcripts.types import Transcription, Word

SPEC = EngineSpec("gated", "Gated", "gated_engine:Gated", Requirement("json"), memory_mb=100)


class Gated:
    """Hears the number of the chunk, as often as a file of the gate's folder says."""

    def __init__(self) -> None:
        self._folder = Path(os.environ["GATE"])

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        job_id = audio.parents[1].name
        with (self._folder / "begun").open("a") as file:
            file.write(f"{job_id} {audio.stem}\n")
        number = int(audio.stem.rpartition("_")[2])
        while number >= self._first_to_wait():
            time.sleep(0.02)
        said = Word(audio.stem, 0.0, 0.5, 0.9)
        return Transcription((said,) * self._times_to_say(), hints.language)

    def _times_to_say(self) -> int:
        try:
            return int((self._folder / "wordy").read_text())
        except FileNotFoundError:
            return 1

    def _first_to_wait(self) -> float:
        try:
            return int((self._folder / "closed").read_text())
        except FileNotFoundError:
            return math.inf
