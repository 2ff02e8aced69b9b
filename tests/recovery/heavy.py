"""Engines that really take the memory that they say, and hear one word: a package of its own."""

from __future__ import annotations

from pathlib import Path

from tests import packages

#: MiB that the model of each takes, and that a process with one is said to take.
MODEL_MB = 300
PROCESS_MB = 450
NAMES = ("heavy", "bulky")

_CODE = f"""
import os
import time
import wave
from pathlib import Path

from engines.catalog import EngineSpec, Requirement
from transcripts.types import Transcription, Word


class Engine:
    def __init__(self):
        self._model = bytearray(b"1") * ({MODEL_MB} * 1024**2)

    def transcribe(self, audio, hints):
        folder = Path(os.environ["HEARD_BY"])
        with (folder / str(os.getpid())).open("a") as file:
            file.write(f"{{audio}}\\n")
        until = time.monotonic() + float(os.environ["SECONDS_A_CHUNK"])
        while time.monotonic() < until and not (folder / "hurry").exists():
            time.sleep(0.02)
        with wave.open(str(audio)) as sound:
            seconds = sound.getnframes() // sound.getframerate()
        words = tuple(Word("heavy", at, at + 1.0, 0.9) for at in range(seconds))
        return Transcription(words, "en-US")


def spec(name):
    needs = Requirement("json")
    return EngineSpec(name, name, "heavy:Engine", needs, {PROCESS_MB}, chunk_seconds=5.0)


"""


def install(folder: Path, **environment: str) -> dict[str, str]:
    """Put the package into a folder; returns the environment of a stack that finds it there.

    Below ``HEARD_BY`` lies a file for every process that heard a chunk, with a line a chunk.
    """
    (folder / "heard").mkdir(parents=True)
    specs = "".join(f"{name.upper()} = spec({name!r})\n" for name in NAMES)
    points = {name: f"heavy:{name.upper()}" for name in NAMES}
    packages.install(folder, "heavy", _CODE + specs, points, packages.ENGINES)
    heard = {"HEARD_BY": str(folder / "heard"), "SECONDS_A_CHUNK": "0.2"}
    return {"PYTHONPATH": packages.path_with(folder), **heard, **environment}


def chunks_heard(folder: Path) -> dict[int, int]:
    """How many chunks each process began with."""
    files = (file for file in (folder / "heard").iterdir() if file.name.isdigit())
    return {int(file.name): len(file.read_text().splitlines()) for file in files}
