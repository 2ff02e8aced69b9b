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
from engines.base import Hints
from engines.hallucination import Guess, Verdict, judge
from engines.sound import Sound, read
from engines.whisper import telling
from engines.whisper.config import WhisperConfig
from engines.whisper.models import Said, Times, Whisper
from engines.whisper.telling import Remark
from engines.whisper.timing import fit
from engines.whisper.windows import Window, cut, samples, split
from transcripts.types import Heard, Note, Word

_Value = TypeVar("_Value")


class Last(Generic[_Value]):
    """Keeps what was loaded last: two large models may not fit beside each other."""

    def __init__(self, load: Callable[[str], _Value]) -> None:
        self._load = load
        self._kept: dict[str, _Value] = {}

    def __getitem__(self, name: str) -> _Value:
        if name not in self._kept:
            self._kept.clear()
            self._kept[name] = self._load(name)
        return self._kept[name]


class Timer(Protocol):
    """Gives the words of windows their times."""

    @property
    def times(self) -> Times:
        """What the model is asked for beside the text."""
        ...

    def time(self, said: Sequence[Said], sound: Sound) -> list[Word]:
        """The words of all windows, in order; times are seconds from the start of the sound."""
        ...


class ModelTimer:
    """Takes the times that the model itself has found."""

    def __init__(self, times: Times) -> None:
        self.times = times

    def time(self, said: Sequence[Said], sound: Sound) -> list[Word]:  # noqa: ARG002
        return [word for one in said for word in fit(one.text, one.timed, one.window)]


class WhisperRecognizer:
    """Hears about a hundred languages with a model of Whisper.

    The model is the one that the hints name, else that of the *config*. It reads the terms of the
    hints, the strongest first, and their prompt before each window.
    """

    def __init__(self, config: WhisperConfig) -> None:
        self._config = config
        self._models = Last(lambda name: Whisper(name, config))

    def timer(self, language: str) -> tuple[Timer, Remark | None]:
        """What times words of the language, and what a reader should know about that."""
        raise NotImplementedError

    def transcribe(self, audio: Path, hints: Hints) -> Heard:
        """Hear a file of any length.

        Words that seem invented are left out and doubtful ones kept: notes say which, and why.
        """
        sound = read(audio)
        windows = cut(sound)
        if not windows:
            return Heard((), hints.language)

        model = self._model(hints)
        code = model.code(hints.language) if hints.language else model.detect([_loudest(sound)])
        timer, remark = self.timer(code)
        prompt = model.prompt(telling.terms(hints.phrases), hints.initial_prompt, code)
        hear = partial(model.hear, sound, language=code, prompt=prompt, times=timer.times)
        said = hear(windows)
        if timer.times is Times.SEGMENTS:
            said = _hear_rests(sound, said, hear)
        said = _hear_doubtful_again(model, sound, said, code, timer.times)

        kept = [one for one in said if one.text and not _verdict(one).is_invented]
        whole = len(sound) / wav.RATE
        remarks = [one for one in (remark, *prompt.remarks) if one]
        notes = [*_notes(said), *(Note(0.0, whole, one.text, one.code) for one in remarks)]
        return Heard(tuple(timer.time(kept, sound)), hints.language or code, tuple(notes))

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        """The language of which all files together are the likeliest."""
        sounds = (_loudest(read(path)) for path in audio)
        return self._model(hints).detect(sound for sound in sounds if len(sound))

    def _model(self, hints: Hints) -> Whisper:
        return self._models[hints.model or self._config.model_name]


def _loudest(sound: Sound) -> Sound:
    """The window with most to hear, to know a language by; empty where all is silent."""
    windows = cut(sound)
    return samples(sound, max(windows, key=_loud_seconds)) if windows else sound[:0]


def _loud_seconds(window: Window) -> float:
    return window.loud


def _hear_rests(
    sound: Sound, said: Sequence[Said], hear: Callable[[Sequence[Window]], list[Said]]
) -> list[Said]:
    """The same, and what is said after the last time that the model has written in a window.

    There it has stopped; as openai/whisper does, it is given what follows as a window of its own.
    """
    parts = {one.window: split(sound, one.window, one.until) for one in said if one.text}
    rests = [part[1] for part in parts.values() if part]
    if not rests:
        return list(said)
    firsts = (
        replace(one, window=part[0]) if (part := parts.get(one.window)) else one for one in said
    )
    both = [*firsts, *_hear_rests(sound, hear(rests), hear)]
    return sorted(both, key=lambda one: one.window.start)


def _hear_doubtful_again(
    model: Whisper, sound: Sound, said: Sequence[Said], code: str, times: Times
) -> list[Said]:
    """The same with doubtful windows heard without hints, where there is less against that."""
    doubtful = [one.window for one in said if _verdict(one).signs]
    if not doubtful:
        return list(said)
    again = model.hear(sound, doubtful, code, times=times, is_careful=True)
    second = {one.window: one for one in again if one.text}
    return [min(first, second.get(first.window, first), key=_count_doubts) for first in said]


def _verdict(said: Said) -> Verdict:
    return judge(Guess(said.text, said.window.loud, said.logprob, said.no_speech, read=said.read))


def _count_doubts(said: Said) -> int:
    return len(_verdict(said).signs)


def _notes(said: Iterable[Said]) -> Iterator[Note]:
    notes = (telling.note(one.window, one.text, _verdict(one)) for one in said)
    return (one for one in notes if one is not None)
