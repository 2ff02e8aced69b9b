"""A talk as long as one likes, by the voices of the sample conversation, and who speaks when."""

from __future__ import annotations

import random
import wave
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

from transcripts.types import Turn

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "conversation.flac"
RATE = 16_000
#: Seconds between two sentences, and between two acts.
PAUSES, BREAK = (0.3, 1.5), 4.0

Sound = NDArray[np.int16]


@dataclass(frozen=True)
class Said:
    """A sentence of the talk."""

    speaker: str
    start: float
    end: float


def write(path: Path, acts: int, seconds: float) -> list[Said]:
    """A WAV file of so many acts of about so many seconds each; no sentence is in two acts."""
    sentences, chance = list(_sentences()), random.Random(1)
    sound: list[Sound] = []
    said: list[Said] = []
    length = 0
    for act in range(acts):
        ours = sentences[act * len(sentences) // acts : (act + 1) * len(sentences) // acts]
        ends = length + seconds * RATE
        pause = BREAK
        while length < ends:
            speaker, voice = chance.choice(ours)
            start = length + int(pause * RATE)
            sound += [np.zeros(start - length, np.int16), voice]
            length = start + len(voice)
            said.append(Said(speaker, start / RATE, length / RATE))
            pause = chance.uniform(*PAUSES)
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(np.concatenate(sound).astype("<i2").tobytes())
    return said


def rightly_told(said: Sequence[Said], turns: Sequence[Turn]) -> float:
    """The share of the sentences in whose middle the right speaker alone is told to speak.

    Who is who is told by the first sentence of each.
    """
    numbers: dict[str, set[int]] = {}
    right = 0
    for one in said:
        middle = (one.start + one.end) / 2
        told = {turn.speaker for turn in turns if turn.start <= middle <= turn.end}
        right += len(told) == 1 and numbers.setdefault(one.speaker, told) == told
    return right / len(said)


def _sentences() -> Iterator[tuple[str, Sound]]:
    with av.open(str(SAMPLE)) as file:
        whole = np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)])
    for line in SAMPLE.with_suffix(".rttm").read_text().splitlines():
        _, _, _, start, length, _, _, speaker, *_ = line.split()
        first = int(float(start) * RATE)
        yield speaker, whole[first : first + int(float(length) * RATE)]
