"""Finds Whisper models by name and asks them: what is said in some windows, and in what language.

A model is a folder of CTranslate2 files. One that lies in ``MODEL_DIR`` is read from there and
nothing else; any other is looked for in the cache below that folder and in Hugging Face's own, then
fetched into that folder.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import huggingface_hub.constants
import numpy as np
import torch
from faster_whisper import BatchedInferencePipeline, WhisperModel, download_model
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from core.errors import EngineError, Transient
from core.settings import settings
from engines import devices
from engines.shelf import WHISPER_FILES, lacking
from engines.sound import Sound
from engines.wav import RATE
from engines.weights.pinned import MODELS
from engines.weights.workers import fetch_for_worker
from engines.whisper import telling
from engines.whisper.config import WhisperConfig
from engines.whisper.windows import LONGEST, Window, samples
from transcripts.types import Word


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says of a window."""

    window: Window
    text: str
    logprob: float
    no_speech: float
    #: With the model's own times; empty when they were not asked for.
    words: tuple[Word, ...] = ()


class Whisper:
    """A loaded model."""

    def __init__(
        self, name: str, device: torch.device, config: WhisperConfig | None = None
    ) -> None:
        config = config or WhisperConfig()
        self._name = name
        self._device = device
        self._batch = config.batch_size
        self._temperature = config.temperature
        self._model = _load(name, device)

    def code(self, language: str) -> str:
        """Whisper's code of a language. Raises `EngineError` when the model does not know it."""
        code = telling.code(language)
        known = self._model.supported_languages
        if code not in known:
            raise EngineError(
                f"The model {self._name} does not know the language {language!r}. Choose another "
                f"model, or leave the language out. It knows: {', '.join(sorted(known))}."
            )
        return code

    def detect(self, sounds: Iterable[Sound]) -> str:
        """The language of which all sounds together are the likeliest."""
        if not self._model.model.is_multilingual:
            return "en"
        likely: dict[str, float] = defaultdict(float)
        for sound in sounds:
            features = self._model.feature_extractor(sound)
            for language, probability in self._model.detect_language(features=features)[2]:
                likely[language] += probability
        # Equal ones, as of no sound at all, by name: the answer must be the same each time.
        return max(sorted(likely), key=likely.__getitem__, default="en")

    def hear(
        self, sound: Sound, places: Sequence[Window], language: str, **options: Any
    ) -> list[Said]:
        """What is said in each window.

        *options* go to faster-whisper. Half as much is heard at once when memory runs out; raises
        `EngineError` when it is too small for a single window.
        """
        while True:
            try:
                return self._hear(sound, places, language, options)
            except (RuntimeError, MemoryError) as error:
                if not devices.ran_out_of_memory(error):
                    raise
                self._halve(error)

    def _hear(
        self, sound: Sound, places: Sequence[Window], language: str, options: dict[str, Any]
    ) -> list[Said]:
        starts = [at * LONGEST for at in range(len(places))]
        pieces, _ = BatchedInferencePipeline(self._model).transcribe(
            # Silence, not nothing, follows a short window: that is what Whisper has learned.
            np.concatenate([_filled_up(samples(sound, window)) for window in places]),
            language=language,
            clip_timestamps=[{"start": start, "end": start + LONGEST} for start in starts],
            batch_size=self._batch,
            temperature=self._temperature,
            **options,
        )
        # One piece a window, in order: the model is asked for text without times.
        return [
            _said(window, piece, window.start - start)
            for window, start, piece in zip(places, starts, pieces, strict=True)
        ]

    def _halve(self, error: Exception) -> None:
        devices.free(self._device)
        if self._batch == 1:
            raise EngineError(
                f"There is not enough memory for the model {self._name} on {self._device}. Choose "
                "a smaller model, set WHISPERX_COMPUTE_TYPE=int8, or run fewer processes."
            ) from error
        self._batch //= 2


def _filled_up(sound: Sound) -> Sound:
    return np.pad(sound, (0, int(LONGEST * RATE) - len(sound)))


def _said(window: Window, piece: Any, shift: float) -> Said:
    return Said(
        window,
        text=piece.text.strip(),
        logprob=float(piece.avg_logprob),
        no_speech=float(piece.no_speech_prob),
        words=tuple(
            Word(
                word.word.strip(),
                start=_within(window, float(word.start) + shift),
                end=_within(window, float(word.end) + shift),
                confidence=float(word.probability),
            )
            for word in piece.words or ()
        ),
    )


def _within(window: Window, time: float) -> float:
    return min(window.end, max(window.start, time))


def _load(name: str, device: torch.device) -> WhisperModel:
    try:
        return WhisperModel(
            str(_folder(name)),
            device=device.type,
            device_index=device.index or 0,
            compute_type=_compute_type(device),
        )
    except (RuntimeError, MemoryError) as error:
        what = "needs more memory than there is" if devices.ran_out_of_memory(error) else str(error)
        raise EngineError(f"The model {name} cannot be loaded on {device}: {what}") from error


def _compute_type(device: torch.device) -> str:
    wanted = settings().whisperx_compute_type
    if wanted == "auto":
        return "float16" if device.type == "cuda" else "int8"
    known = ctranslate2.get_supported_compute_types(device.type, device.index or 0)
    if wanted not in known:
        raise EngineError(
            f"WHISPERX_COMPUTE_TYPE is {wanted}, which {device} cannot compute with. Allowed here: "
            f"auto, {', '.join(sorted(known))}."
        )
    return wanted


def _folder(name: str) -> Path:
    """Where the model lies, after fetching it if need be."""
    ours = settings().model_dir
    if (ours / name).is_dir():
        return _whole(ours / name, name)
    for cache in (ours, None):  # None: the one of Hugging Face's own
        with suppress(LocalEntryNotFoundError):
            return _fetch(name, cache, local_files_only=True)
    return _fetch_from_hub(name, ours)


def _whole(folder: Path, name: str) -> Path:
    if lacks := lacking(folder, WHISPER_FILES):
        raise EngineError(
            f"The model {name} in {folder} is not whole: {', '.join(lacks)} is missing or broken. "
            "Copy all files of a CTranslate2 model there, or remove the folder to have it fetched."
        )
    return folder


def _fetch_from_hub(name: str, ours: Path) -> Path:
    if name in MODELS:
        return fetch_for_worker(name)
    remedy = f"put its files into {ours / name}"
    try:
        return _fetch(name, ours, local_files_only=False)
    except LocalEntryNotFoundError as error:
        told = f"The model {name} is not on this machine, and"
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            raise EngineError(f"{told} HF_HUB_OFFLINE is set: {remedy}.") from error
        raise Transient(f"{told} the hub cannot be reached: {remedy}.", retry_in=30) from error
    except (HfHubHTTPError, OSError) as error:
        raise EngineError(f"The model {name} cannot be fetched: {error}; {remedy}.") from error


def _fetch(name: str, ours: Path | None, *, local_files_only: bool) -> Path:
    try:
        found = download_model(
            name,
            cache_dir=str(ours) if ours else None,
            local_files_only=local_files_only,
            use_auth_token=settings().hf_token,
        )
    except LocalEntryNotFoundError:  # is a ValueError as well
        raise
    except ValueError as error:
        raise EngineError(
            f"There is no model {name!r}: it is no folder in MODEL_DIR and no name that "
            "faster-whisper knows, such as base or large-v3."
        ) from error
    return Path(found)
