"""Models and recordings for the engines that need some: small, ours, and never downloaded."""

from __future__ import annotations

import shutil
import wave
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

HERE = Path(__file__).resolve().parent
MODELS = HERE / "models"
SAMPLE = HERE.parents[1] / "samples" / "conversation.flac"
RATE = 16_000

Sound = NDArray[np.int16]


def needs(module: str, extra: str) -> pytest.MarkDecorator:
    """Skip, with the command that helps, where an engine's library is not installed."""
    return pytest.mark.skipif(
        not is_installed(module),
        reason=f"{module} is not installed: make test-engines, or the extra {extra}",
    )


def is_installed(module: str) -> bool:
    top = module.partition(".")[0]
    return find_spec(top) is not None and find_spec(module) is not None


@dataclass(frozen=True)
class Digit:
    """One word of the recording of digits."""

    text: str
    voice: str
    #: Seconds at which it begins.
    start: float


def digits() -> list[Digit]:
    """What is said in the recording of digits."""
    lines = (HERE / "audio" / "digits.txt").read_text().splitlines()
    said = [(line.split()[0], word) for line in lines for word in line.split()[1:]]
    return [Digit(word, voice, 1.0 + number) for number, (voice, word) in enumerate(said)]


def decoded(path: Path) -> Sound:
    with av.open(str(path)) as file:
        return np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)])


def write_wav(path: Path, sound: Sound) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.astype("<i2").tobytes())
    return path


def digits_wav(folder: Path, start: float = 0.0, end: float = 62.0) -> Path:
    """A piece of the recording of digits."""
    sound = decoded(HERE / "audio" / "digits.flac")[int(start * RATE) : int(end * RATE)]
    return write_wav(folder / f"digits-{start:g}-{end:g}.wav", sound)


def model_dir(folder: Path) -> Path:
    """A folder as `MODEL_DIR` may be, with the models that are kept here."""
    for name in ("digits", "align-en"):
        shutil.copytree(MODELS / name, folder / name)
    return folder
