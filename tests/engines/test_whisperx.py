"""WhisperX on tiny models: words by the sound of their letters, and what that takes beside Whisper.

What it shares with the engine `whisper` is tested there (`tests/unit/test_whisper.py`).
"""

from __future__ import annotations

from pathlib import Path
from statistics import median

import numpy as np
import pytest

from core.errors import EngineError
from core.settings import settings
from engines.base import Hints, LanguageDetector
from tests.engines import tiny
from tests.engines.tiny import digits, digits_wav
from tests.engines.whisper_models import differences, texts, write_models
from transcripts.types import Transcription

pytestmark = tiny.needs("whisperx", "whisperx")

#: Seconds by which a word may begin before or after its digit; without alignment.
CLOSE, ROUGH = 0.2, 1.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def configured(models: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MODEL_DIR", str(models))
    monkeypatch.setenv("WHISPERX_DEFAULT_MODEL", "digits")
    monkeypatch.setenv("WHISPERX_DEVICE", "cpu")
    settings.cache_clear()
    return monkeypatch


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_wav(tmp_path_factory.mktemp("audio"))


def hear(audio: Path, **hints: object) -> Transcription:
    from engines.whisperx import WhisperX

    return WhisperX().transcribe(audio, Hints(**{"language": "en", **hints}))


def test_every_word_of_a_minute_is_heard_at_its_time(recording: Path):
    heard = hear(recording, language="en-US")
    assert max(differences(heard, digits())) <= CLOSE
    assert (heard.language, heard.notes) == ("en-US", ())


def test_the_same_file_gives_the_same_words_whatever_was_heard_before(
    recording: Path, tmp_path: Path
):
    from engines.whisperx import WhisperX

    engine, hints = WhisperX(), Hints(language="en")
    first = engine.transcribe(recording, hints)
    engine.transcribe(digits_wav(tmp_path, 20, 44), hints)
    assert engine.transcribe(recording, hints) == first


def test_how_many_windows_are_heard_at_once_changes_nothing(recording: Path, configured):
    wide = hear(recording)
    configured.setenv("WHISPERX_BATCH_SIZE", "1")
    settings.cache_clear()
    assert hear(recording) == wide


def test_without_an_alignment_model_whisper_itself_tells_the_times(recording: Path):
    heard = hear(recording, language="de")
    assert median(differences(heard, digits())) <= ROUGH
    (note,) = heard.notes
    assert "word times are less exact" in note.text
    assert "'de'" in note.text


def test_the_processor_alone_hears_the_same(recording: Path):
    from engines.whisper_processor import WhisperConfig, WhisperProcessor

    assert WhisperConfig().model_name == "digits", "what is left out is as the settings have it"
    config = WhisperConfig(batch_size=1, temperature=0.0, max_retries=0, device="cpu")
    assert WhisperProcessor(config).transcribe(str(recording), language="en") == hear(recording)
    german = WhisperProcessor(WhisperConfig(model_name="german")).transcribe(recording)
    assert german.language == "de"


def test_silence_costs_no_model(tmp_path: Path, configured):
    silent = tiny.write_wav(tmp_path / "silent.wav", np.zeros(40 * tiny.RATE, np.int16))
    assert hear(silent, model="there is none").words == ()
    nothing = tiny.write_wav(tmp_path / "nothing.wav", np.zeros(0, np.int16))
    assert hear(nothing).words == ()


def test_an_absent_language_is_detected(recording: Path):
    heard = hear(recording, language=None, model="german")
    assert heard.language == "de"
    assert texts(heard)[:6] == ["guten", "tag", "wie", "geht", "es", "dir"]


def test_the_language_of_several_places_is_one(recording: Path, tmp_path: Path):
    from engines.whisperx import WhisperX

    engine = WhisperX()
    assert isinstance(engine, LanguageDetector)
    places = [recording, digits_wav(tmp_path, 0.0, 0.5), digits_wav(tmp_path, 30, 40)]
    assert engine.detect_language(places, Hints(model="polish")) == "pl"
    assert engine.detect_language(places, Hints(model="english.en")) == "en"
    # Of nothing, something, and always the same.
    silent = tiny.write_wav(tmp_path / "silent.wav", np.zeros(tiny.RATE, np.int16))
    assert engine.detect_language([silent], Hints(model="polish")) == "en"


@pytest.mark.parametrize(
    ("setting", "value", "sentence"),
    [
        ("WHISPERX_DEVICE", "cuda", r"WHISPERX_DEVICE is cuda, but .*no GPU.*auto or cpu"),
        ("WHISPERX_DEVICE", "cuda:7", r"WHISPERX_DEVICE is cuda:7"),
        ("WHISPERX_COMPUTE_TYPE", "float16", r"float16, which cpu cannot.*auto, .*int8"),
    ],
)
def test_a_machine_that_lacks_something_is_told_how_to_do_without(
    recording: Path, configured, setting: str, value: str, sentence: str
):
    import torch

    if torch.cuda.is_available():
        pytest.skip("this machine has a GPU")
    configured.setenv(setting, value)
    settings.cache_clear()
    with pytest.raises(EngineError, match=sentence):
        hear(recording)


def test_one_model_at_a_time_is_kept(recording: Path, tmp_path: Path):
    from engines.whisperx import WhisperX

    engine, piece = WhisperX(), digits_wav(tmp_path, 0, 8)
    first = engine.transcribe(piece, Hints(language="en", model="digits"))
    engine.transcribe(piece, Hints(language="de", model="german"))
    assert list(engine._models._entries) == ["german"]
    assert list(engine._timers._entries) == ["de"]
    assert engine.transcribe(piece, Hints(language="en", model="digits")) == first
