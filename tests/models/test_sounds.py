"""Sounds without words, and words whose times are known because a script has placed them."""

from __future__ import annotations

import random
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

import jiwer
import numpy as np
import pytest

from engines.base import Hints
from tests.engines.tiny import RATE, Sound, decoded, write_wav
from tests.models.conftest import require
from tests.models.jobs import Jobs, text_of, words_of
from tests.models.scoring import simplify

pytestmark = pytest.mark.processes

#: Seconds by which words begin too early or too late, on average.
MOST_SECONDS = 0.3
#: Share of the words that must be heard, for their times to mean something.
LEAST_HEARD = 0.8

SENTENCES = (
    "the old captain carried seven yellow boxes into the kitchen",
    "every morning my sister drinks coffee beside the open window",
    "nobody remembered where the green bicycle was hidden",
    "we should repair that wooden bridge before winter comes",
    "a large black horse followed the children through the garden",
    "please bring another chair because your uncle is coming",
)


def silence(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE), np.int16)


def noise(seconds: float, loudness: float) -> Sound:
    """White noise."""
    chance = np.random.default_rng(1)
    return (chance.standard_normal(int(seconds * RATE)) * loudness).astype(np.int16)


def tone(seconds: float, hertz: float) -> Sound:
    times = np.arange(int(seconds * RATE)) / RATE
    return (8000 * np.sin(2 * np.pi * hertz * times)).astype(np.int16)


WORDLESS = {
    "silence": silence(20),
    "hiss": noise(20, 100),
    "noise": noise(20, 4000),
    "tone": tone(20, 440),
}


@pytest.mark.parametrize("model", ["tiny.en", "base"])
def test_sounds_without_words_give_none(jobs: Jobs, tmp_path: Path, model: str):
    require(model)
    paths = [write_wav(tmp_path / f"{name}.wav", sound) for name, sound in WORDLESS.items()]
    results = jobs.transcribe(paths, model=model, language="en")
    assert [text_of(result) for result in results] == [""] * len(paths)


@pytest.mark.parametrize("name", WORDLESS)
def test_base_itself_gives_no_words_for_them_without_a_doubt(tmp_path: Path, name: str):
    """Voice activity passes none of these on; without it, loud noise may become a word."""
    require("base")
    from engines.whisper import FasterWhisper

    path = write_wav(tmp_path / f"{name}.wav", WORDLESS[name])
    heard = FasterWhisper().transcribe(path, Hints(language="en", model="base"))
    assert not heard.words or any("doubtful" in note.text for note in heard.notes)


@pytest.fixture(scope="module", params=["slt", "rms", "awb"])
def talk(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory):
    """A talk by a voice of flite: its path, its words, and the second at which each begins."""
    if not shutil.which("flite"):
        pytest.skip("flite is not installed, whose voices speak single words: apt install flite")
    folder = tmp_path_factory.mktemp("talk")
    return _place(folder, request.param)


@pytest.mark.parametrize("model", ["tiny.en", "base"])
def test_words_begin_where_a_script_has_placed_them(jobs: Jobs, talk, model: str):
    require(model)
    path, words, starts = talk
    (result,) = jobs.transcribe([path], model=model, language="en")
    heard = [word for word in words_of(result) if simplify(word["word"])]
    texts = [simplify(word["word"]) for word in heard]
    # A word that came as several is aligned as several.
    times = [word["start"] for word, text in zip(heard, texts, strict=True) for _ in text.split()]
    differences = [
        abs(times[there] - starts[here]) for here, there in _same(words, " ".join(texts).split())
    ]
    print(f"{len(differences)} of {len(words)} words, {mean(differences):.3f} s off on average")
    assert len(differences) >= LEAST_HEARD * len(words)
    assert mean(differences) <= MOST_SECONDS


def _place(folder: Path, voice: str) -> tuple[Path, list[str], list[float]]:
    chance = random.Random(voice)
    sounds, words, starts = [silence(1.0)], [], []
    length = len(sounds[0])
    for sentence in SENTENCES:
        for word in sentence.split():
            sound = _speak(word, voice, folder)
            words.append(word)
            starts.append(length / RATE)
            gap = silence(chance.uniform(0.0, 0.08))
            sounds += [sound, gap]
            length += len(sound) + len(gap)
        pause = silence(chance.uniform(0.6, 1.5))
        sounds.append(pause)
        length += len(pause)
    return write_wav(folder / f"{voice}.wav", np.concatenate(sounds)), words, starts


def _speak(word: str, voice: str, folder: Path) -> Sound:
    """The word without the silence around it."""
    path = folder / "word.wav"
    subprocess.run(["flite", "-voice", voice, "-t", word, "-o", path], check=True)
    sound = decoded(path)
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > 300)
    return sound[loud[0] : loud[-1] + 1]


def _same(reference: Sequence[str], heard: Sequence[str]) -> list[tuple[int, int]]:
    """Places of the words that are in both, in order."""
    [steps] = jiwer.process_words(" ".join(reference), " ".join(heard)).alignments
    return [
        (step.ref_start_idx + number, step.hyp_start_idx + number)
        for step in steps
        if step.type == "equal"
        for number in range(step.ref_end_idx - step.ref_start_idx)
    ]
