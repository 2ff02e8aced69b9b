"""The engine `whisper`, with the real libraries on tiny models: words, times, doubts.

Neither torch nor a download is needed. What `whisperx` does otherwise is in `tests/engines`.
"""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator, Sequence
from itertools import pairwise
from pathlib import Path
from statistics import median

import numpy as np
import pytest
from huggingface_hub import configure_http_backend, constants

from core.errors import EngineError
from core.settings import settings
from engines.arrays import read_samples
from engines.base import Hints, LanguageDetector
from engines.wav import RATE
from engines.whisper import FasterWhisper
from engines.whisper_model.config import WhisperConfig
from engines.whisper_model.model import Whisper, WindowResult
from engines.whisper_model.prompt import PROMPT_CUT, TERMS_CUT
from engines.whisper_model.recognizer import _recognize_rests
from engines.whisper_model.vocabulary import Remark, format_hotwords
from engines.whisper_model.windows import WhisperWindow, cut_windows
from engines.whisper_model.word_timing import fill_times, spread_words
from tests.engines import tiny
from tests.engines.tiny import digits, digits_wav
from tests.engines.whisper_models import WORDS, differences, texts, write_models
from transcripts.spacing import join_words
from transcripts.types import Interval, Transcription, Word

#: Seconds by which most words begin before or after their digits. What so small a model attends to
#: at the end of a window depends on the processor.
ROUGH = 1.0

#: What the model `german` says of any window.
GERMAN = ["guten", "tag", "wie", "geht", "es", "dir"]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_models(tmp_path_factory.mktemp("models"))


@pytest.fixture(autouse=True)
def configured(models: Path, monkeypatch: pytest.MonkeyPatch) -> pytest.MonkeyPatch:
    monkeypatch.setenv("MODEL_DIR", str(models))
    monkeypatch.setenv("WHISPER_DEFAULT_MODEL", "digits")
    monkeypatch.setenv("WHISPER_DEVICE", "cpu")
    # Models that are set by hand are too coarse for the int8 of some processors.
    monkeypatch.setenv("WHISPER_COMPUTE_TYPE", "float32")
    settings.cache_clear()
    return monkeypatch


@pytest.fixture(scope="module")
def recording(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return digits_wav(tmp_path_factory.mktemp("audio"))


def hear(audio: Path, **hints: object) -> Transcription:
    return FasterWhisper().transcribe(audio, Hints(**{"language": "en", **hints}))


def load(name: str) -> Whisper:
    return Whisper(name, WhisperConfig.of("whisper"))


class TestWords:
    def test_every_word_of_a_minute_is_heard_at_its_time_without_a_remark(self, recording: Path):
        heard = hear(recording, language="en-US")
        assert median(differences(heard, digits())) <= ROUGH
        assert (heard.language, heard.notes) == ("en-US", ())

    def test_the_same_file_gives_the_same_words_whatever_was_heard_before(
        self, recording: Path, tmp_path: Path
    ):
        engine, hints = FasterWhisper(), Hints(language="en")
        first = engine.transcribe(recording, hints)
        engine.transcribe(digits_wav(tmp_path, 20, 44), hints)
        assert engine.transcribe(recording, hints) == first

    def test_how_many_windows_are_heard_at_once_changes_no_word(self, recording: Path, configured):
        wide = hear(recording)
        configured.setenv("WHISPER_BATCH_SIZE", "1")
        settings.cache_clear()
        one = hear(recording)
        assert texts(one) == texts(wide)
        starts = [[word.start for word in heard.words] for heard in (one, wide)]
        assert starts[0] == pytest.approx(starts[1], abs=0.05)

    def test_silence_costs_no_model(self, tmp_path: Path):
        silent = tiny.write_wav(tmp_path / "silent.wav", np.zeros(40 * tiny.RATE, np.int16))
        assert hear(silent, model="there is none").words == ()
        nothing = tiny.write_wav(tmp_path / "nothing.wav", np.zeros(0, np.int16))
        assert hear(nothing).words == ()

    def test_a_hundredth_of_a_second_does_no_harm(self, tmp_path: Path):
        hear(digits_wav(tmp_path, 2.05, 2.06))

    def test_the_words_are_the_text_that_the_model_wrote(self, recording: Path):
        heard = hear(recording, model="german", language="de")
        assert set(join_words(heard.words).split()) == {*GERMAN}

    def test_one_model_at_a_time_is_kept(self, tmp_path: Path):
        engine, piece = FasterWhisper(), digits_wav(tmp_path, 0, 8)
        first = engine.transcribe(piece, Hints(language="en", model="digits"))
        engine.transcribe(piece, Hints(language="de", model="german"))
        assert list(engine._models._entries) == ["german"]
        assert engine.transcribe(piece, Hints(language="en", model="digits")) == first

    def test_torch_is_in_no_part_of_it(self, recording: Path):
        """Not even imported where it is installed."""
        program = (
            "import sys; from pathlib import Path; from engines.base import Hints; "
            "from engines.whisper import FasterWhisper; "
            "heard = FasterWhisper().transcribe(Path(sys.argv[1]), Hints(language='en')); "
            "assert len(heard.words) == 60; assert 'torch' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", program, recording], check=True)


class TestLanguage:
    def test_one_that_nobody_names_is_found(self, recording: Path):
        heard = hear(recording, language=None, model="german")
        assert heard.language == "de"
        assert texts(heard)[:6] == GERMAN

    def test_that_of_several_places_is_one(self, recording: Path, tmp_path: Path):
        engine = FasterWhisper()
        assert isinstance(engine, LanguageDetector)
        places = [recording, digits_wav(tmp_path, 0.0, 0.5), digits_wav(tmp_path, 30, 40)]
        assert engine.detect_language(places, Hints(model="polish")) == "pl"
        assert engine.detect_language(places, Hints(model="english.en")) == "en"
        # Of nothing, something, and always the same.
        silent = tiny.write_wav(tmp_path / "silent.wav", np.zeros(tiny.RATE, np.int16))
        assert engine.detect_language([silent], Hints(model="polish")) == "en"

    def test_regional_tags_become_codes_of_the_model(self):
        model = load("digits")
        asked = ["en-US", "pt_BR", "nb-NO", "zh-Hant-TW", "cmn", "DE"]
        assert [model.find_code(tag) for tag in asked] == ["en", "pt", "no", "zh", "zh", "de"]


class TestWhatCannotBeDone:
    @pytest.fixture
    def offline(self, tmp_path: Path, configured) -> Iterator[None]:
        """Nothing is fetched, and nothing was before."""
        configured.setattr(constants, "HF_HUB_OFFLINE", True)
        configured.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "no-cache"))
        configured.setenv("HF_HUB_CACHE", str(tmp_path / "no-cache"))
        configure_http_backend()  # the library asks when it makes a session
        yield
        configured.undo()
        configure_http_backend()

    @pytest.mark.parametrize(
        ("model", "language", "sentence"),
        [
            ("digits", "tlh", r"does not support the language 'tlh'.*omit the language"),
            ("english.en", "de", r"english\.en does not support the language 'de'.*: en\."),
            ("no-such", "en", r"no model 'no-such'.*MODEL_DIR"),
            (
                "broken",
                "en",
                r"broken in MODEL_DIR is incomplete: tokenizer\.json is missing or damaged",
            ),
            ("base", "en", r"(?s)HF_HUB_OFFLINE is set.*transcribe models pull base --from"),
            ("large-v3", "en", r"large-v3 is not on this machine.*HF_HUB_OFFLINE.*put its files"),
        ],
    )
    def test_it_is_said_with_what_to_do(
        self, recording: Path, offline: None, model: str, language: str, sentence: str
    ):
        with pytest.raises(EngineError, match=sentence):
            hear(recording, model=model, language=language)

    @pytest.mark.parametrize(
        ("setting", "value", "sentence"),
        [
            ("WHISPER_DEVICE", "cuda", r"WHISPER_DEVICE is cuda, but .*no GPU.*auto or cpu"),
            ("WHISPER_DEVICE", "cuda:7", r"WHISPER_DEVICE is cuda:7"),
            ("WHISPER_COMPUTE_TYPE", "float16", r"WHISPER_COMPUTE_TYPE is float16, which cpu"),
        ],
    )
    def test_a_machine_that_lacks_something_is_told_how_to_do_without(
        self, recording: Path, configured, setting: str, value: str, sentence: str
    ):
        import ctranslate2

        if ctranslate2.get_cuda_device_count():
            pytest.skip("this machine has a GPU")
        configured.setenv(setting, value)
        settings.cache_clear()
        with pytest.raises(EngineError, match=sentence):
            hear(recording)


class TestPrompt:
    """The model of digits was trained without any: what it reads shifts what it hears."""

    def test_phrases_reach_the_model_strongest_first(self, recording: Path):
        phrases = {"seven": 20.0, "not this": -5.0, "nine": 50.0, "nor this": 0.0}
        assert format_hotwords(phrases) == "nine, seven"
        assert format_hotwords({}) is None
        assert texts(hear(recording, phrases=phrases)) != texts(hear(recording))

    def test_the_prompt_of_a_job_reaches_every_window(self, recording: Path):
        plain, prompted = hear(recording), hear(recording, initial_prompt="nine seven nine")
        for start, end in pairwise((0, 20, 40, 62)):
            heard = [
                [word.text for word in one.words if start <= word.start < end]
                for one in (plain, prompted)
            ]
            assert heard[0] != heard[1]

    @pytest.mark.parametrize(
        ("hints", "remark"),
        [
            ({"initial_prompt": "one two " * 300}, PROMPT_CUT),
            ({"phrases": {f"phrase number {n}": 9.0 for n in range(300)}}, TERMS_CUT),
        ],
    )
    def test_what_does_not_fit_is_said(self, recording: Path, hints: dict[str, object], remark):
        heard = hear(recording, **hints)
        assert remark in [Remark(note.code, note.text) for note in heard.notes]


class TestDoubts:
    def test_more_words_than_anybody_can_say_are_kept_with_a_doubt(self, tmp_path: Path):
        heard = hear(digits_wav(tmp_path, 2.0, 3.0), model="talker")
        assert texts(heard) == WORDS
        (note,) = heard.notes
        assert note.text == "words are doubtful: the words are too fast for speech"
        assert 0.0 <= note.start < note.end <= 1.0

    def test_a_phrase_that_is_invented_is_left_out_and_named(self, tmp_path: Path, configured):
        from engines.whisper_model import hallucination

        known = " ".join(WORDS)
        configured.setattr(hallucination, "KNOWN_HALLUCINATIONS", frozenset({known}))
        configured.setattr(hallucination, "MAX_PHRASE_LOGPROB", 0.0)
        heard = hear(digits_wav(tmp_path, 1.0, 21.0), model="talker")
        assert heard.words == ()
        (note,) = heard.notes
        assert "words were dropped" in note.text
        assert known[:20] in note.text


class TestMemory:
    """A machine that is too small for what it is given: CTranslate2 says so by a RuntimeError."""

    fits = 0

    @pytest.fixture
    def tried(self, configured) -> Iterator[list[int]]:
        """How many windows were tried at once, where `fits` fit."""
        from engines.whisper_model.model import _Session

        tried: list[int] = []
        whole = _Session._encode

        def encode(session: _Session, features):
            tried.append(len(features))
            if len(features) > self.fits:
                raise RuntimeError("CUDA failed with error out of memory")
            return whole(session, features)

        configured.setattr(_Session, "_encode", encode)
        return tried

    def test_half_as_much_is_heard_at_once(self, recording: Path, tried: list[int]):
        self.fits = 1
        assert median(differences(hear(recording), digits())) <= ROUGH
        # Eight at once, four and two are as many as there are; then one after the other.
        assert tried == [2, 2, 2, 1, 1]

    def test_not_even_one_window_is_an_error_that_helps(self, recording: Path, tried: list[int]):
        sentence = r"not enough memory.*smaller model.*WHISPER_COMPUTE_TYPE=int8"
        with pytest.raises(EngineError, match=sentence):
            hear(recording)

    def test_any_other_error_is_not_taken_for_it(self, recording: Path, configured):
        from faster_whisper import WhisperModel

        def fail(*_: object) -> None:
            raise RuntimeError("cuDNN is broken")

        configured.setattr(WhisperModel, "encode", fail)
        with pytest.raises(RuntimeError, match="cuDNN is broken"):
            hear(recording)


class TestTimes:
    def test_the_model_writes_them_where_attention_is_not_asked(self, recording: Path, configured):
        """This one writes when each window begins: its words share the time from there on."""
        configured.setenv("WHISPER_WORD_TIMES", "segments")
        settings.cache_clear()
        heard = hear(recording, model="german", language="de")
        assert texts(heard)[: len(GERMAN)] == GERMAN
        windows = cut_windows(read_samples(recording))
        assert len(heard.words) == len(windows) * len(GERMAN)
        for number, window in enumerate(windows):
            words = heard.words[number * len(GERMAN) : (number + 1) * len(GERMAN)]
            # The first time that Whisper may write is within a second.
            assert 0.0 <= words[0].start - window.start <= 1.0
            assert words[-1].end == pytest.approx(window.end, abs=0.05)
            assert all(one.end == other.start for one, other in pairwise(words))

    def test_where_the_model_stops_early_it_is_given_the_rest(self):
        """This one says three words of each window it is given, and then writes a time."""
        sound = np.sin(np.arange(20 * RATE)).astype(np.float32)
        given: list[WhisperWindow] = []

        def hear(windows: Sequence[WhisperWindow]) -> list[WindowResult]:
            given.extend(windows)
            return [say(window) for window in windows]

        def say(window: WhisperWindow) -> WindowResult:
            until = min(window.start + 8, window.end)
            words = spread_words(["one", "two", "three"], Interval(window.start, until))
            return WindowResult(window, "one two three", 0.0, 0.0, words=tuple(words))

        said = _recognize_rests(sound, hear(cut_windows(sound)), hear)
        assert [round(window.start) for window in given] == [0, 8, 16]
        assert [one.heard_until for one in said] == [one.window.end for one in said]
        assert [round(one.window.end) for one in said] == [8, 16, 20]

    def test_words_that_have_none_get_those_between_their_neighbours(self):
        nan = float("nan")
        words = [
            Word("ah", nan, nan), Word("one", 1.0, 1.5), Word("%", nan, nan),
            Word("&&&", nan, nan), Word("two", 3.5, 4.0), Word("end", nan, nan),
        ]  # fmt: skip
        filled = fill_times(words, Interval(0.5, 5.0))
        assert [(word.text, word.start, word.end) for word in filled] == [
            ("ah", 0.5, 1.0), ("one", 1.0, 1.5), ("%", 1.5, 2.0),
            ("&&&", 2.0, 3.5), ("two", 3.5, 4.0), ("end", 4.0, 5.0),
        ]  # fmt: skip

    def test_words_share_the_window_where_none_has_any(self):
        words = spread_words(["a", "bbb"], Interval(2.0, 4.0))
        assert [(word.start, word.end) for word in words] == [(2.0, 2.5), (2.5, 4.0)]
