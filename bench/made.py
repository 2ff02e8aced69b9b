"""Recordings of known words and turns, put together from the sentences of the sample."""

from __future__ import annotations

import random
import wave
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "conversation.flac"
RATE = 16_000
#: Seconds between two sentences.
PAUSES = (0.3, 1.2)

Sound = NDArray[np.int16]
#: Seconds before the sentence of a number; below 0: it begins before the one before it ends.
Pause = Callable[[int], float]


@dataclass(frozen=True, slots=True)
class Sentence:
    """What one of the two says at once."""

    speaker: str
    words: str
    sound: Sound


@dataclass(frozen=True, slots=True)
class Said:
    """A sentence in its place, in seconds."""

    sentence: Sentence
    start: float

    @property
    def end(self) -> float:
        return self.start + len(self.sentence.sound) / RATE


def sentences() -> list[Sentence]:
    """All of the sample, in their order."""
    with av.open(str(SAMPLE)) as file:
        whole = np.concatenate([frame.to_ndarray().ravel() for frame in file.decode(audio=0)])
    turns = SAMPLE.with_suffix(".rttm").read_text().splitlines()
    lines = SAMPLE.with_suffix(".txt").read_text().splitlines()
    return [_sentence(turn, words, whole) for turn, words in zip(turns, lines, strict=True)]


def _sentence(turn: str, words: str, whole: Sound) -> Sentence:
    _, _, _, start, length, _, _, speaker, *_ = turn.split()
    first = round(float(start) * RATE)
    return Sentence(speaker, words, whole[first : first + round(float(length) * RATE)])


def spoken(of: Iterable[Sentence], pause: Pause) -> list[Said]:
    """One after the other."""
    said: list[Said] = []
    now = 0.0
    for number, one in enumerate(of):
        said.append(Said(one, max(0.0, now + pause(number))))
        now = said[-1].end
    return said


def talks(folder: Path, many: int, passes: int) -> list[Path]:
    """So many recordings, each of all sentences so many times, in orders of their own.

    Beside each lies what is said, and who speaks when.
    """
    return [_talk(folder / f"talk-{seed}.wav", seed, passes) for seed in range(1, many + 1)]


def _talk(path: Path, seed: int, passes: int) -> Path:
    chance = random.Random(seed)  # noqa: S311
    order = [one for _ in range(passes) for one in chance.sample(sentences(), len(sentences()))]
    said = spoken(order, lambda _: chance.uniform(*PAUSES))
    write(path, said, {})
    path.with_suffix(".txt").write_text("".join(f"{one.sentence.words}\n" for one in said))
    path.with_suffix(".rttm").write_text("".join(_turn(path.stem, one) for one in said))
    return path


def _turn(name: str, one: Said) -> str:
    times = f"{one.start:.3f} {one.end - one.start:.3f}"
    return f"SPEAKER {name} 1 {times} <NA> <NA> {one.sentence.speaker} <NA> <NA>\n"


def write(path: Path, said: Sequence[Said], channels: dict[str, int]) -> None:
    """A WAV file with a second of silence at the end. *channels*: of each speaker, if several."""
    length = round((max(one.end for one in said) + 1) * RATE)
    sound = np.zeros((length, max(channels.values(), default=0) + 1), np.int16)
    for one in said:
        first = round(one.start * RATE)
        channel = channels.get(one.sentence.speaker, 0)
        sound[first : first + len(one.sentence.sound), channel] = one.sentence.sound
    with wave.open(str(path), "wb") as file:
        file.setnchannels(sound.shape[1])
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes(sound.astype("<i2").tobytes())
