"""The real libraries on tiny models: what is said, when, in what language, and what is doubted."""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import EngineError
from core.settings import settings
from engines.base import FindsLanguage, Hints
from tests.engines import tiny
from tests.engines.tiny import Digit, digits, digits_wav
from transcripts.types import Heard

pytestmark = tiny.needs("whisperx", "whisperx")

#: Seconds by which a word may begin before or after its digit; without alignment.
CLOSE, ROUGH = 0.2, 1.0


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of models as an operator may have it, with some that say always the same."""
    from tests.engines import tiny_whisper

    folder = tiny.model_dir(tmp_path_factory.mktemp("models"))
    tiny_whisper.build(folder / "german", "guten tag wie geht es dir", "de")
    tiny_whisper.build(folder / "polish", "dobry wieczor wam", "pl")
    tiny_whisper.build(folder / "english.en", "good evening to all", multilingual=False)
    tiny_whisper.build(folder / "talker", " ".join(_WORDS), "en")
    shutil.copytree(folder / "german", folder / "broken")
    (folder / "broken" / "tokenizer.json").unlink()
    return folder


_WORDS = [f"{a}{b}" for a in ("ba", "do", "ki", "lu", "mo", "ne") for b in ("ra", "so", "ti", "vu")]


@pytest.fixture(autouse=True)
def configured(models: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[pytest.MonkeyPatch]:
    monkeypatch.setenv("MODEL_DIR", str(models))
    monkeypatch.setenv("WHISPERX_DEFAULT_MODEL", "digits")
    monkeypatch.setenv("WHISPERX_DEVICE", "cpu")
    settings.cache_clear()
    return monkeypatch


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_wav(tmp_path_factory.mktemp("audio"))


def hear(audio: Path, **hints: object) -> Heard:
    from engines.whisperx import WhisperX

    return WhisperX().transcribe(audio, Hints(**{"language": "en", **hints}))


def texts(heard: Heard) -> list[str]:
    return [word.text for word in heard.words]


def assert_heard(heard: Heard, said: list[Digit], within: float, shift: float = 0.0) -> None:
    assert texts(heard) == [digit.text for digit in said]
    for word, digit in zip(heard.words, said, strict=True):
        assert word.start == pytest.approx(digit.start - shift, abs=within)
        assert word.start <= word.end
        assert word.confidence is not None
        assert 0 <= word.confidence <= 1
    assert all(one.end <= other.end for one, other in itertools.pairwise(heard.words))


def test_every_word_of_a_minute_is_heard_at_its_time(recording: Path):
    heard = hear(recording, language="en-US")
    assert_heard(heard, digits(), CLOSE)
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
    assert_heard(heard, digits(), ROUGH)
    (note,) = heard.notes
    assert "words have rougher times" in note.text
    assert "'de'" in note.text


def test_the_processor_alone_hears_the_same(recording: Path):
    from engines.whisper_processor import WhisperConfig, WhisperProcessor

    assert WhisperConfig().model_name == "digits", "what is left out is as the settings have it"
    config = WhisperConfig(batch_size=1, temperature=0.0, max_retries=0, device="cpu")
    assert WhisperProcessor(config).transcribe(str(recording), language="en") == hear(recording)
    german = WhisperProcessor(WhisperConfig(model_name="german")).transcribe(recording)
    assert german.language == "de"


def test_silence_costs_no_model(tmp_path: Path, configured):
    import numpy as np

    silent = tiny.write_wav(tmp_path / "silent.wav", np.zeros(40 * tiny.RATE, np.int16))
    assert hear(silent, model="there is none").words == ()
    nothing = tiny.write_wav(tmp_path / "nothing.wav", np.zeros(0, np.int16))
    assert hear(nothing).words == ()


def test_a_hundredth_of_a_second_does_no_harm(tmp_path: Path):
    hear(digits_wav(tmp_path, 2.05, 2.06))


def test_an_absent_language_is_detected(recording: Path):
    heard = hear(recording, language=None, model="german")
    assert heard.language == "de"
    assert texts(heard)[:6] == ["guten", "tag", "wie", "geht", "es", "dir"]


def test_the_language_of_several_places_is_one(recording: Path, tmp_path: Path):
    from engines.whisperx import WhisperX

    engine = WhisperX()
    assert isinstance(engine, FindsLanguage)
    places = [recording, digits_wav(tmp_path, 0.0, 0.5), digits_wav(tmp_path, 30, 40)]
    assert engine.detect_language(places, Hints(model="polish")) == "pl"
    assert engine.detect_language(places, Hints(model="english.en")) == "en"
    # Of nothing, something, and always the same.
    silent = digits_wav(tmp_path, 0.0, 0.5)
    assert engine.detect_language([silent], Hints(model="polish")) == "en"


@pytest.mark.parametrize(
    ("model", "language", "sentence"),
    [
        ("digits", "tlh", r"does not know the language 'tlh'.*leave the language out"),
        ("english.en", "de", r"The model english\.en does not know the language 'de'.*: en\."),
        ("no-such", "en", r"no model 'no-such'.*MODEL_DIR"),
        ("broken", "en", r"broken in .* is not whole: tokenizer\.json is missing or broken"),
        ("base", "en", r"base is not on this machine.*HF_HUB_OFFLINE.*put its files into .*base"),
    ],
)
def test_what_cannot_be_done_is_said_with_what_to_do(
    recording: Path, model: str, language: str, sentence: str
):
    with pytest.raises(EngineError, match=sentence):
        hear(recording, model=model, language=language)


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


def test_regional_tags_become_codes_of_the_model():
    import torch

    from engines.whisper.models import Whisper

    model = Whisper("digits", torch.device("cpu"))
    asked = ["en-US", "pt_BR", "nb-NO", "zh-Hant-TW", "cmn", "DE"]
    assert [model.code(tag) for tag in asked] == ["en", "pt", "no", "zh", "zh", "de"]


def test_phrases_reach_the_model_strongest_first(recording: Path):
    """The model of digits was trained without hints: they shift what it hears, which shows them."""
    from engines.whisper.telling import hotwords

    phrases = {"seven": 20.0, "not this": -5.0, "nine": 50.0, "nor this": 0.0}
    assert hotwords(phrases) == "nine, seven"
    assert hotwords({}) is None
    assert texts(hear(recording, phrases=phrases)) != texts(hear(recording))


def test_more_words_than_anybody_can_say_are_kept_with_a_doubt(tmp_path: Path):
    heard = hear(digits_wav(tmp_path, 2.0, 3.0), model="talker")
    assert texts(heard) == _WORDS
    (note,) = heard.notes
    assert note.text == "words are doubtful: nobody speaks that fast"
    assert (note.start, note.end) == (0.0, 1.0)


def test_a_phrase_that_is_invented_is_left_out_and_named(tmp_path: Path, configured):
    from engines import hallucination

    known = " ".join(_WORDS)
    configured.setattr(hallucination, "KNOWN_INVENTIONS", frozenset({known}))
    configured.setattr(hallucination, "UNSURE_OF_PHRASE", 0.0)
    heard = hear(digits_wav(tmp_path, 1.0, 21.0), model="talker")
    assert heard.words == ()
    (note,) = heard.notes
    assert "words were left out" in note.text
    assert known[:20] in note.text


def test_one_model_at_a_time_is_kept(recording: Path, tmp_path: Path):
    from engines.whisperx import WhisperX

    engine, piece = WhisperX(), digits_wav(tmp_path, 0, 8)
    first = engine.transcribe(piece, Hints(language="en", model="digits"))
    engine.transcribe(piece, Hints(language="de", model="german"))
    assert list(engine._models._kept) == ["german"]
    assert list(engine._aligners._kept) == ["de"]
    assert engine.transcribe(piece, Hints(language="en", model="digits")) == first


class TestMemory:
    """A GPU that is too small for what it is given: CTranslate2 says so by a RuntimeError."""

    @pytest.fixture
    def room(self, configured) -> Iterator[list[int]]:
        """How many windows fit; those that were tried."""
        from faster_whisper import WhisperModel

        tried: list[int] = []
        whole = WhisperModel.encode

        def encode(model: WhisperModel, features):
            tried.append(len(features))
            if len(features) > self.fits:
                raise RuntimeError("CUDA failed with error out of memory")
            return whole(model, features)

        configured.setattr(WhisperModel, "encode", encode)
        return tried

    fits = 0

    def test_half_as_much_is_heard_at_once(self, recording: Path, room: list[int]):
        self.fits = 1
        assert_heard(hear(recording), digits(), CLOSE)
        assert room[:2] == [3, 3]
        assert set(room[-3:]) == {1}

    def test_not_even_one_window_is_an_error_that_helps(self, recording: Path, room: list[int]):
        self.fits = 0
        with pytest.raises(EngineError, match=r"not enough memory.*smaller model.*int8"):
            hear(recording)

    def test_any_other_error_is_not_taken_for_it(self, recording: Path, configured):
        from faster_whisper import WhisperModel

        def fail(*_: object) -> None:
            raise RuntimeError("cuDNN is broken")

        configured.setattr(WhisperModel, "encode", fail)
        with pytest.raises(RuntimeError, match="cuDNN is broken"):
            hear(recording)


class TestTimes:
    """Words that an aligner cannot place still get a time."""

    def test_between_their_neighbours(self):
        from engines.whisper.timing import fill
        from transcripts.types import Span, Word

        nan = float("nan")
        words = [
            Word("ah", nan, nan), Word("one", 1.0, 1.5), Word("%", nan, nan),
            Word("&&&", nan, nan), Word("two", 3.5, 4.0), Word("end", nan, nan),
        ]  # fmt: skip
        filled = fill(words, Span(0.5, 5.0))
        assert [(word.text, word.start, word.end) for word in filled] == [
            ("ah", 0.5, 1.0), ("one", 1.0, 1.5), ("%", 1.5, 2.0),
            ("&&&", 2.0, 3.5), ("two", 3.5, 4.0), ("end", 4.0, 5.0),
        ]  # fmt: skip

    def test_over_the_window_where_none_can_be_placed(self):
        from engines.whisper.timing import spread
        from transcripts.types import Span

        words = spread(["a", "bbb"], Span(2.0, 4.0))
        assert [(word.start, word.end) for word in words] == [(2.0, 2.5), (2.5, 4.0)]
