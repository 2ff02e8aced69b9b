"""What the engines `whisper` and `whisperx` share: windows, languages, prompts, doubts.

They differ in how they time words, and in nothing else.
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
    """Keeps what was loaded last: two large models may not fit beside each other."""

    def __init__(self, load: Callable[[str], _Value]) -> None:
        self._load = load
        self._entries: dict[str, _Value] = {}

    def __getitem__(self, name: str) -> _Value:
        if name not in self._entries:
            self._entries.clear()
            self._entries[name] = self._load(name)
        return self._entries[name]


class WordTimer(Protocol):
    """Gives the words of windows their times."""

    @property
    def timing_mode(self) -> TimingMode:
        """What the model is asked for beside the text."""
        ...

    def time_words(self, results: Sequence[WindowResult], samples: Samples) -> list[Word]:
        """The words of all windows, in order; times are seconds from the start of the sound."""
        ...


class ModelTimer:
    """Takes the times that the model itself has found."""

    def __init__(self, timing_mode: TimingMode) -> None:
        self.timing_mode = timing_mode

    def time_words(self, results: Sequence[WindowResult], samples: Samples) -> list[Word]:  # noqa: ARG002
        return [
            word
            for result in results
            for word in fit_words(result.text, result.words, result.window)
        ]


class WhisperRecognizer:
    """Hears about a hundred languages with a model of Whisper.

    The model is the one that the hints name, else that of the *config*. It reads the terms of the
    hints, the strongest first, and their prompt before each window.
    """

    def __init__(self, config: WhisperConfig) -> None:
        self._config = config
        self._models = SingleEntryCache(lambda name: Whisper(name, config))

    def choose_timer(self, language: str) -> tuple[WordTimer, Remark | None]:
        """What times words of the language, and what a reader should know about that."""
        raise NotImplementedError

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        """Hear a file of any length.

        Words that seem invented are left out and doubtful ones kept: notes say which, and why.
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
        """The language of which all files together are the likeliest."""
        excerpts = (_cut_loudest_window(read_samples(path)) for path in audio)
        return self._load_model(hints).detect_language(
            samples for samples in excerpts if len(samples)
        )

    def _load_model(self, hints: Hints) -> Whisper:
        return self._models[hints.model or self._config.model_name]


def _cut_loudest_window(audio: Samples) -> Samples:
    """The window with most to hear, to know a language by; empty where all is silent."""
    windows = cut_windows(audio)
    return slice_window(audio, max(windows, key=_get_loud_seconds)) if windows else audio[:0]


def _get_loud_seconds(window: WhisperWindow) -> float:
    return window.loud_seconds


def _recognize_rests(
    samples: Samples,
    results: Sequence[WindowResult],
    recognize: Callable[[Sequence[WhisperWindow]], list[WindowResult]],
) -> list[WindowResult]:
    """The same, and what is said after the last time that the model has written in a window.

    There it has stopped; as openai/whisper does, it is given what follows as a window of its own.
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
    """The same with doubtful windows heard without hints, where there is less against that."""
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
