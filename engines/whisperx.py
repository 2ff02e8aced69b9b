"""WhisperX: Whisper in batches, words timed by wav2vec 2.0; on a GPU or without one."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path
from typing import Generic, TypeVar

from engines import devices, wav
from engines.base import Hints
from engines.hallucination import Guess, Verdict, judge
from engines.sound import Sound, read
from engines.whisper.aligning import Aligner, NoAligner
from engines.whisper.config import WhisperConfig
from engines.whisper.models import Said, Whisper
from engines.whisper.telling import hotwords, note
from engines.whisper.windows import Window, cut, samples
from transcripts.types import Heard, Note

log = logging.getLogger(__name__)

#: How a doubtful window is heard a second time: without hints, and no four words twice.
AGAIN = {"no_repeat_ngram_size": 4, "repetition_penalty": 1.1}

_Value = TypeVar("_Value")


class _Last(Generic[_Value]):
    """Keeps what was loaded last: two large models may not fit beside each other."""

    def __init__(self, load: Callable[[str], _Value]) -> None:
        self._load = load
        self._kept: dict[str, _Value] = {}

    def __getitem__(self, name: str) -> _Value:
        if name not in self._kept:
            self._kept.clear()
            self._kept[name] = self._load(name)
        return self._kept[name]


class WhisperX:
    """Hears about a hundred languages.

    The model is the one that the hints name, else that of the *config*. The phrases of the
    hints are given to it as hotwords, the strongest first; it has no measure of strength.
    """

    def __init__(self, config: WhisperConfig | None = None) -> None:
        self._config = config or WhisperConfig()
        self._device = devices.choose(self._config.device, "WHISPERX_DEVICE")
        self._models = _Last(lambda name: Whisper(name, self._device, self._config))
        self._aligners = _Last(self._aligner)

    def transcribe(self, audio: Path, hints: Hints) -> Heard:
        """Hear a file of any length.

        Words that seem invented are left out and doubtful ones kept: notes say which, and why.
        """
        sound = read(audio)
        places = cut(sound)
        if not places:
            return Heard((), hints.language)

        model = self._model(hints)
        code = model.code(hints.language) if hints.language else model.detect([_best(sound)])
        aligner = self._aligners[code]
        has_times = isinstance(aligner, NoAligner)
        said = model.hear(
            sound, places, code, hotwords=hotwords(hints.phrases), word_timestamps=has_times
        )
        doubtful = [one.window for one in said if _verdict(one).signs]
        if doubtful:
            again = model.hear(sound, doubtful, code, word_timestamps=has_times, **AGAIN)
            said = _better(said, again)

        kept = [one for one in said if one.text and not _verdict(one).is_invented]
        notes = list(_notes(said))
        if isinstance(aligner, NoAligner):
            notes.append(Note(0.0, len(sound) / wav.RATE, f"words have rougher times: {aligner}"))
            words = [word for one in kept for word in one.words]
        else:
            words = aligner.time(kept, sound)
        return Heard(tuple(words), hints.language or code, tuple(notes))

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        """The language of which all files together are the likeliest."""
        sounds = (_best(read(path)) for path in audio)
        return self._model(hints).detect(sound for sound in sounds if len(sound))

    def _model(self, hints: Hints) -> Whisper:
        return self._models[hints.model or self._config.model_name]

    def _aligner(self, language: str) -> Aligner | NoAligner:
        try:
            return Aligner(language, self._device)
        except NoAligner as reason:
            log.warning("words are timed by Whisper itself: %s", reason)
            return reason


def _best(sound: Sound) -> Sound:
    """The window with most to hear, to know a language by; empty where all is silent."""
    places = cut(sound)
    return samples(sound, max(places, key=_loudness)) if places else sound[:0]


def _loudness(window: Window) -> float:
    return window.loud


def _verdict(said: Said) -> Verdict:
    return judge(Guess(said.text, said.window.loud, said.logprob, said.no_speech))


def _better(said: Iterable[Said], again: Iterable[Said]) -> list[Said]:
    """Put what was heard again in its place, where there is less against it."""
    second = {one.window: one for one in again if one.text}
    return [min(first, second.get(first.window, first), key=_doubts) for first in said]


def _doubts(said: Said) -> int:
    return len(_verdict(said).signs)


def _notes(said: Iterable[Said]) -> Iterator[Note]:
    notes = (note(one.window, one.text, _verdict(one)) for one in said)
    return (one for one in notes if one is not None)
