"""Common part of the engines `whisper` and `whisperx`: windows, languages, prompts, doubtful words.

The two engines differ only in how they time words.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from engines import wav
from engines.arrays import Samples, read_samples
from engines.base import Hints
from engines.whisper_model import vocabulary
from engines.whisper_model.config import WhisperConfig
from engines.whisper_model.hallucination import Guess, Verdict, judge
from engines.whisper_model.model import TimingMode, Whisper, WindowResult
from engines.whisper_model.vocabulary import Remark
from engines.whisper_model.windows import WhisperWindow, cut_windows, slice_window, split_window
from engines.whisper_model.word_timing import fit_words
from transcripts.types import Note, Transcription, Word

_Value = TypeVar("_Value")


class SingleEntryCache(Generic[_Value]):
    """Keeps only the last loaded value, since two large models may not fit into memory together."""

    def __init__(self, load: Callable[[str], _Value]) -> None:
        self._load = load
        self._entries: dict[str, _Value] = {}

    def __getitem__(self, name: str) -> _Value:
        if name not in self._entries:
            self._entries.clear()
            self._entries[name] = self._load(name)
        return self._entries[name]


class WordTimer(Protocol):
    """Assigns times to the words of windows."""

    @property
    def timing_mode(self) -> TimingMode:
        """Return the times that the model must produce besides the text."""
        ...

    def time_words(self, results: Sequence[WindowResult], samples: Samples) -> list[Word]:
        """Return the words of all windows, in order, in seconds from the start of the audio."""
        ...


class ModelTimer:
    """Uses the times of the model itself."""

    def __init__(self, timing_mode: TimingMode) -> None:
        self.timing_mode = timing_mode

    def time_words(self, results: Sequence[WindowResult], samples: Samples) -> list[Word]:  # noqa: ARG002
        return [
            word
            for result in results
            for word in fit_words(result.text, result.words, result.window)
        ]


class WhisperRecognizer:
    """Transcribes about a hundred languages with a Whisper model.

    The model is that of the hints, else that of the *config*. Each window's prompt contains the
    terms of the hints, strongest first, and their prompt.
    """

    def __init__(self, config: WhisperConfig) -> None:
        self._config = config
        self._models = SingleEntryCache(lambda name: Whisper(name, config))

    def choose_timer(self, language: str) -> tuple[WordTimer, Remark | None]:
        """Return the word timer of a language, and a remark for the reader if there is one."""
        raise NotImplementedError

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        """Transcribe a file of any length.

        Words that are probably hallucinated are dropped and doubtful ones kept, each with a note.
        """
        samples = read_samples(audio)
        windows = cut_windows(samples)
        if not windows:
            return Transcription((), hints.language)

        model = self._load_model(hints)
        code = (
            model.find_code(hints.language)
            if hints.language
            else model.detect_language([_cut_loudest_window(samples)])
        )
        timer, remark = self.choose_timer(code)
        prompt = model.build_prompt(
            vocabulary.rank_terms(hints.phrases), hints.initial_prompt, code
        )
        recognize = partial(
            model.recognize, samples, language=code, prompt=prompt, timing_mode=timer.timing_mode
        )
        results = recognize(windows)
        if timer.timing_mode is TimingMode.SEGMENTS:
            results = _recognize_rests(samples, results, recognize)
        results = _retry_doubtful(model, samples, results, code, timer.timing_mode)

        trusted = [
            result for result in results if result.text and not _judge_result(result).is_invented
        ]
        duration = len(samples) / wav.RATE
        remarks = [each for each in (remark, *prompt.remarks) if each]
        notes = [
            *_build_notes(results),
            *(Note(0.0, duration, each.text, each.code) for each in remarks),
        ]
        return Transcription(
            tuple(timer.time_words(trusted, samples)), hints.language or code, tuple(notes)
        )

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        """Return the language with the highest probability over all files."""
        excerpts = (_cut_loudest_window(read_samples(path)) for path in audio)
        return self._load_model(hints).detect_language(
            samples for samples in excerpts if len(samples)
        )

    def _load_model(self, hints: Hints) -> Whisper:
        return self._models[hints.model or self._config.model_name]


def _cut_loudest_window(audio: Samples) -> Samples:
    """Return the window with most audible seconds; empty if all is silent."""
    windows = cut_windows(audio)
    return slice_window(audio, max(windows, key=_get_loud_seconds)) if windows else audio[:0]


def _get_loud_seconds(window: WhisperWindow) -> float:
    return window.loud_seconds


def _recognize_rests(
    samples: Samples,
    results: Sequence[WindowResult],
    recognize: Callable[[Sequence[WhisperWindow]], list[WindowResult]],
) -> list[WindowResult]:
    """Return the results, plus those of audio after the last timestamp of a window.

    The model stopped there; as in openai/whisper, the rest becomes a separate window.
    """
    split_windows = {
        result.window: split_window(samples, result.window, result.heard_until)
        for result in results
        if result.text
    }
    rests = [halves[1] for halves in split_windows.values() if halves]
    if not rests:
        return list(results)
    firsts = (
        replace(result, window=halves[0])
        if (halves := split_windows.get(result.window))
        else result
        for result in results
    )
    all_results = [*firsts, *_recognize_rests(samples, recognize(rests), recognize)]
    return sorted(all_results, key=lambda result: result.window.start)


def _retry_doubtful(
    model: Whisper,
    samples: Samples,
    results: Sequence[WindowResult],
    code: str,
    timing_mode: TimingMode,
) -> list[WindowResult]:
    """Repeat doubtful windows without hints, and return the results with fewer signs."""
    doubtful = [result.window for result in results if _judge_result(result).signs]
    if not doubtful:
        return list(results)
    retried = model.recognize(samples, doubtful, code, timing_mode=timing_mode, is_careful=True)
    second = {result.window: result for result in retried if result.text}
    return [min(first, second.get(first.window, first), key=_count_doubts) for first in results]


def _judge_result(result: WindowResult) -> Verdict:
    return judge(
        Guess(
            result.text,
            result.window.loud_seconds,
            result.logprob,
            result.no_speech,
            prompt=result.prompt,
        )
    )


def _count_doubts(result: WindowResult) -> int:
    return len(_judge_result(result).signs)


def _build_notes(results: Iterable[WindowResult]) -> Iterator[Note]:
    notes = (
        vocabulary.build_note(result.window, result.text, _judge_result(result))
        for result in results
    )
    return (note for note in notes if note is not None)
