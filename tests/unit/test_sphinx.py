"""PocketSphinx hears the sample conversation, the same way each time, and nothing in silence."""

from __future__ import annotations

import itertools
import random
import wave
from collections.abc import Callable, Iterator
from pathlib import Path

import av
import jiwer
import pytest

from core.errors import EngineError
from engines import catalog
from engines.base import Hints, Recognizer
from transcripts.types import Transcription

pytestmark = pytest.mark.sphinx

SAMPLES = Path(__file__).resolve().parents[2] / "samples"
RATE = 16_000
#: Seconds of the sample that are listened to, and the turns in them.
PIECE, LINES = 22.4, 6


@pytest.fixture(scope="module")
def sphinx() -> Recognizer:
    return catalog.load_recognizer(catalog.SPHINX)


@pytest.fixture(scope="module")
def pcm() -> bytes:
    """The beginning of the sample conversation."""
    with av.open(str(SAMPLES / "conversation.flac")) as file:
        return b"".join(_samples(file))[: 2 * int(PIECE * RATE)]


def _samples(file: av.container.InputContainer) -> Iterator[bytes]:
    for frame in file.decode(audio=0):
        yield frame.to_ndarray().astype("<i2").tobytes()


def _write(path: Path, samples: bytes, rate: int = RATE) -> Path:
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(samples)
    return path


@pytest.fixture
def wav(tmp_path: Path) -> Callable[..., Path]:
    """Write samples to a new WAV file."""
    numbers = itertools.count()
    return lambda samples, rate=RATE: _write(tmp_path / f"{next(numbers)}.wav", samples, rate)


@pytest.fixture(scope="module")
def heard(
    sphinx: Recognizer, pcm: bytes, tmp_path_factory: pytest.TempPathFactory
) -> Transcription:
    audio = _write(tmp_path_factory.mktemp("sphinx") / "piece.wav", pcm)
    return sphinx.transcribe(audio, Hints(language="en-US"))


def test_it_hears_what_is_said(heard: Transcription) -> None:
    said = " ".join((SAMPLES / "conversation.txt").read_text().splitlines()[:LINES])
    assert jiwer.wer(said, " ".join(word.text for word in heard.words)) <= 0.15
    assert heard.language == "en-US"


def test_words_are_in_order_within_the_audio_and_have_probabilities(heard: Transcription) -> None:
    times = [time for word in heard.words for time in (word.start, word.end)]
    assert times == sorted(times)
    assert 0.5 <= times[0] <= 0.8  # the first turn begins at 0.6
    assert times[-1] <= PIECE
    probabilities = [word.confidence for word in heard.words if word.confidence is not None]
    assert len(probabilities) == len(heard.words)
    assert 0 <= min(probabilities) < 0.5 < max(probabilities) <= 1
    assert all(word.text.isalpha() or "'" in word.text for word in heard.words)


def test_words_do_not_depend_on_what_was_heard_before(
    sphinx: Recognizer, wav: Callable[..., Path], pcm: bytes
) -> None:
    audio = wav(pcm[RATE : RATE * 9])
    fresh = catalog.load_recognizer(catalog.SPHINX).transcribe(audio, Hints())
    assert fresh.words
    for before in (_noise(1), pcm[RATE * 10 : RATE * 13], b"\0\x40" * RATE):
        sphinx.transcribe(wav(before), Hints())
        assert sphinx.transcribe(audio, Hints()) == fresh


@pytest.mark.parametrize("samples", [0, 1, 409, 800, 16_000])
def test_silence_has_no_words_however_short(
    sphinx: Recognizer, wav: Callable[..., Path], samples: int
) -> None:
    assert sphinx.transcribe(wav(bytes(2 * samples)), Hints()).words == ()


@pytest.mark.parametrize("samples", [1, 200, 409, 411, 800])
def test_a_moment_of_sound_has_no_words(
    sphinx: Recognizer, wav: Callable[..., Path], pcm: bytes, samples: int
) -> None:
    assert sphinx.transcribe(wav(pcm[2 * RATE : 2 * RATE + 2 * samples]), Hints()).words == ()


def test_noise_has_no_words(sphinx: Recognizer, wav: Callable[..., Path]) -> None:
    assert sphinx.transcribe(wav(_noise(2)), Hints()).words == ()


def _noise(seconds: int) -> bytes:
    return random.Random(2).randbytes(2 * RATE * seconds)


def test_other_kinds_of_audio_are_refused(
    sphinx: Recognizer, wav: Callable[..., Path], tmp_path: Path
) -> None:
    with pytest.raises(EngineError, match="16 kHz mono 16-bit"):
        sphinx.transcribe(wav(bytes(100), rate=8_000), Hints())
    text = tmp_path / "text.wav"
    text.write_text("not sound")
    with pytest.raises(EngineError, match="cannot be read"):
        sphinx.transcribe(text, Hints())
