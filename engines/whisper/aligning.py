"""Times words by the sound of their letters: WhisperX's alignment, one model a language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch

from core.errors import EngineError
from core.settings import settings
from engines import devices
from engines.library_warnings import ignore_library_warnings
from engines.sound import Sound
from engines.whisper.models import Said, Times
from engines.whisper.timing import fill, fit
from transcripts.types import Word

with ignore_library_warnings():
    import torchaudio
    from whisperx import alignment


class _OneSentence:
    """Stands in for NLTK's splitter, which is downloaded: only words are wanted, not sentences."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


alignment.nltk_load = lambda _: _OneSentence()


class NoAligner(Exception):
    """There is no model to time words of the language with; the message says why."""


class Aligner:
    """Knows the sounds of one language. Building it raises `NoAligner` where there is no model."""

    times = Times.NONE

    def __init__(self, language: str, device: torch.device) -> None:
        self._device = device
        with ignore_library_warnings():
            self._model, self._about = _load(language, device)

    def time(self, said: Sequence[Said], sound: Sound) -> list[Word]:
        """The words of all windows, each with its times and how well it fits the sound."""
        return [word for one in said for word in self._timed(one, sound)]

    def _timed(self, said: Said, sound: Sound) -> list[Word]:
        window = {"start": said.window.start, "end": said.window.end, "text": said.text}
        try:
            with ignore_library_warnings():
                aligned = alignment.align(
                    [window], self._model, self._about, sound, str(self._device)
                )
        except (RuntimeError, MemoryError) as error:
            if not devices.ran_out_of_memory(error):
                raise
            raise EngineError(
                f"There is not enough memory to time words on {self._device}. Run fewer processes."
            ) from error
        found = [_word(word) for word in aligned["word_segments"]]
        return fit(said.text, fill(found, said.window), said.window)


def _load(language: str, device: torch.device) -> tuple[Any, dict[str, Any]]:
    ours = settings().model_dir
    if (ours / f"align-{language}").is_dir():
        return _loaded(language, device, model_name=str(ours / f"align-{language}"))
    if language not in {*alignment.DEFAULT_ALIGN_MODELS_TORCH, *alignment.DEFAULT_ALIGN_MODELS_HF}:
        raise NoAligner(f"there is no alignment model for the language {language!r}")
    name, cache = _name_in_cache(language)
    place = next((folder for folder in (ours, cache) if (folder / name).exists()), None)
    offline = bool(huggingface_hub.constants.HF_HUB_OFFLINE)
    if offline and place is None:
        raise NoAligner(f"the alignment model for the language {language!r} is not here")
    model_dir = None if place == cache else str(ours)
    return _loaded(language, device, model_dir=model_dir, model_cache_only=offline)


def _loaded(language: str, device: torch.device, **where: Any) -> tuple[Any, dict[str, Any]]:
    try:
        model, about = alignment.load_align_model(language, str(device), **where)
    except (OSError, ValueError) as error:
        raise NoAligner(
            f"the alignment model for the language {language!r} cannot be fetched or read: {error}"
        ) from error
    return model, about


def _name_in_cache(language: str) -> tuple[str, Path]:
    """How the library that fetches the model names it on disk, and the cache of that library."""
    if name := alignment.DEFAULT_ALIGN_MODELS_TORCH.get(language):
        path = getattr(torchaudio.pipelines, name)._path
        return path, Path(torch.hub.get_dir()) / "checkpoints"
    repository = alignment.DEFAULT_ALIGN_MODELS_HF[language]
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    return f"models--{repository.replace('/', '--')}", cache


def _word(found: dict[str, Any]) -> Word:
    start, end, score = (found.get(name) for name in ("start", "end", "score"))
    return Word(
        text=found["word"],
        start=float("nan") if start is None else float(start),
        end=float("nan") if end is None else float(end),
        confidence=None if score is None else min(1.0, max(0.0, float(score))),
    )
