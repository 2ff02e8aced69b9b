"""Align words with the audio: WhisperX's alignment, with one model per language."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import huggingface_hub.constants
import torch

from core.errors import EngineError
from core.settings import settings
from engines.arrays import Samples
from engines.torch_support import devices
from engines.torch_support.library_warnings import ignore_library_warnings
from engines.whisper_model.model import TimingMode, WindowResult
from engines.whisper_model.word_timing import fill_times, fit_words
from transcripts.types import Word

with ignore_library_warnings():
    import torchaudio
    from whisperx import alignment


class _OneSentence:
    """Replaces NLTK's sentence splitter, which needs a download; only words are used here."""

    def span_tokenize(self, text: str) -> list[tuple[int, int]]:
        return [(0, len(text))]


alignment.nltk_load = lambda _: _OneSentence()


class NoAligner(Exception):
    """There is no alignment model for the language; the message contains the reason."""


class Aligner:
    """Aligns words of one language. Raises `NoAligner` on construction if there is no model."""

    timing_mode = TimingMode.NONE

    def __init__(self, language: str, device: torch.device) -> None:
        self._device = device
        with ignore_library_warnings():
            self._model, self._metadata = _load_model(language, device)

    def time_words(self, results: Sequence[WindowResult], samples: Samples) -> list[Word]:
        """Return the words of all windows, with times and the alignment score as confidence."""
        return [word for result in results for word in self._align_window(result, samples)]

    def _align_window(self, result: WindowResult, samples: Samples) -> list[Word]:
        window = {"start": result.window.start, "end": result.window.end, "text": result.text}
        try:
            with ignore_library_warnings():
                aligned = alignment.align(
                    [window], self._model, self._metadata, samples, str(self._device)
                )
        except (RuntimeError, MemoryError) as error:
            if not devices.is_out_of_memory(error):
                raise
            raise EngineError(
                f"There is not enough memory to time words on {self._device}. Run fewer processes."
            ) from error
        words = [_build_word(word) for word in aligned["word_segments"]]
        return fit_words(result.text, fill_times(words, result.window), result.window)


def _load_model(language: str, device: torch.device) -> tuple[Any, dict[str, Any]]:
    models_root = settings().model_dir
    if (models_root / f"align-{language}").is_dir():
        return _read_model(language, device, model_name=str(models_root / f"align-{language}"))
    if language not in {*alignment.DEFAULT_ALIGN_MODELS_TORCH, *alignment.DEFAULT_ALIGN_MODELS_HF}:
        raise NoAligner(f"there is no alignment model for the language {language!r}")
    name, cache = _find_cached_name(language)
    location = next((folder for folder in (models_root, cache) if (folder / name).exists()), None)
    offline = bool(huggingface_hub.constants.HF_HUB_OFFLINE)
    if offline and location is None:
        raise NoAligner(f"the alignment model for the language {language!r} is not on this machine")
    model_dir = None if location == cache else str(models_root)
    return _read_model(language, device, model_dir=model_dir, model_cache_only=offline)


def _read_model(language: str, device: torch.device, **options: Any) -> tuple[Any, dict[str, Any]]:
    try:
        model, metadata = alignment.load_align_model(language, str(device), **options)
    except (OSError, ValueError) as error:
        raise NoAligner(
            f"the alignment model for the language {language!r} cannot be downloaded or read: "
            f"{error}"
        ) from error
    return model, metadata


def _find_cached_name(language: str) -> tuple[str, Path]:
    """Return the model's name on disk, and the cache folder of the library that downloads it."""
    if name := alignment.DEFAULT_ALIGN_MODELS_TORCH.get(language):
        path = getattr(torchaudio.pipelines, name)._path
        return path, Path(torch.hub.get_dir()) / "checkpoints"
    repository = alignment.DEFAULT_ALIGN_MODELS_HF[language]
    cache = Path(huggingface_hub.constants.HF_HUB_CACHE)
    return f"models--{repository.replace('/', '--')}", cache


def _build_word(aligned: dict[str, Any]) -> Word:
    start, end, score = (aligned.get(name) for name in ("start", "end", "score"))
    return Word(
        text=aligned["word"],
        start=float("nan") if start is None else float(start),
        end=float("nan") if end is None else float(end),
        confidence=None if score is None else min(1.0, max(0.0, float(score))),
    )
