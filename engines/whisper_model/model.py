"""Load Whisper models by name, transcribe windows and detect languages.

A model is a folder of CTranslate2 files. A folder in ``MODEL_DIR`` is used as it is. Any other
model is searched in the cache in that folder and in Hugging Face's cache, then downloaded to
``MODEL_DIR``.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any

import ctranslate2
import huggingface_hub.constants
import numpy as np
from faster_whisper import WhisperModel, download_model
from faster_whisper.tokenizer import Tokenizer
from faster_whisper.transcribe import get_suppressed_tokens
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError
from numpy.typing import NDArray

from core.errors import EngineError, Transient
from core.settings import settings
from engines.arrays import Samples
from engines.models.local_models import WHISPER_FILES, find_missing_files
from engines.models.on_demand import fetch_for_worker
from engines.models.pinned_models import MODELS
from engines.wav import RATE
from engines.whisper_model import vocabulary
from engines.whisper_model.config import WhisperConfig
from engines.whisper_model.device import Device, choose_device, is_out_of_memory
from engines.whisper_model.prompt import Prompt, build_prompt
from engines.whisper_model.windows import MAX_SECONDS, WhisperWindow, slice_window
from engines.whisper_model.word_timing import spread_text
from transcripts.types import Interval, Word

#: Beams of the search; the best one is used, as in openai/whisper and faster-whisper.
BEAM_SIZE = 5
#: Number of random samples at temperatures above 0; the most likely one is used.
SAMPLE_COUNT = 5
#: If two excerpts agree on a language with this probability, no third one is used.
LANGUAGE_CONFIDENCE = 0.8

#: Options of the second attempt at a doubtful window: no sequence of four tokens repeats.
CAREFUL_OPTIONS = {"no_repeat_ngram_size": 4, "repetition_penalty": 1.1}

#: Resolution of the model's timestamps (seconds).
_TIME_STEP = 0.02

_PREPENDED, _APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"

Features = NDArray[np.float32]


class TimingMode(StrEnum):
    """Source of the word times."""

    #: No times: text only.
    NONE = "none"
    #: The model writes start and end of each sentence, and the words share that time.
    SEGMENTS = "segments"
    #: From the model's attention to the audio; takes a tenth more time than `SEGMENTS` without its
    #: second pass over the rests of windows.
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class WindowResult:
    """The model's output for a window."""

    window: WhisperWindow
    text: str
    logprob: float
    no_speech: float
    #: The prompt of this window.
    prompt: str = ""
    #: Parts of the text with times (seconds from the start of the audio); empty for
    #: `TimingMode.NONE`.
    words: tuple[Word, ...] = ()

    @property
    def heard_until(self) -> float:
        """Return the last transcribed second; `TimingMode.SEGMENTS` may stop before the end."""
        return self.words[-1].end if self.words else self.window.end


class Whisper:
    """A loaded model."""

    def __init__(self, name: str, config: WhisperConfig) -> None:
        self._name = name
        self._config = config
        self._device = choose_device(config.device, config.setting("device"))
        self._batch = config.batch_size
        self._model = _load_model(name, self._device, config)

    def find_code(self, language: str) -> str:
        """Return Whisper's code of a language; raise `EngineError` if the model lacks it."""
        code = vocabulary.to_whisper_code(language)
        supported = self._model.supported_languages
        if code not in supported:
            raise EngineError(
                f"The model {self._name} does not support the language {language!r}. Choose "
                "another model, or omit the language. "
                f"Supported: {', '.join(sorted(supported))}."
            )
        return code

    def detect_language(self, excerpts: Iterable[Samples]) -> str:
        """Return the language with the highest probability over all excerpts.

        Stops early if the first ones agree with high confidence.
        """
        if not self._model.model.is_multilingual:
            return "en"
        probabilities: dict[str, float] = defaultdict(float)
        for count, samples in enumerate(excerpts, 1):
            features = self._model.feature_extractor(samples)
            for language, probability in self._model.detect_language(features=features)[2]:
                probabilities[language] += probability
            if count >= 2 and max(probabilities.values()) >= LANGUAGE_CONFIDENCE * count:
                break
        # Sorted by name, so that the result is the same each time even if probabilities are equal.
        return max(sorted(probabilities), key=probabilities.__getitem__, default="en")

    def build_prompt(self, terms: Sequence[str], text: str | None, language: str) -> Prompt:
        """Build the prompt of all windows."""
        return build_prompt(terms, text, self._build_tokenizer(language).encode)

    def recognize(
        self,
        samples: Samples,
        windows: Sequence[WhisperWindow],
        language: str,
        *,
        prompt: Prompt | None = None,
        timing_mode: TimingMode = TimingMode.ATTENTION,
        is_careful: bool = False,
    ) -> list[WindowResult]:
        """Transcribe each window.

        The batch size is halved if memory runs out; raises `EngineError` if one window does not
        fit.
        """
        tokenizer = self._build_tokenizer(language)
        session = _Session(self._model, tokenizer, self._device, prompt or Prompt(), timing_mode)
        options = {**self._sampling_options(), **(CAREFUL_OPTIONS if is_careful else {})}
        results: list[WindowResult] = []
        while len(results) < len(windows):
            batch = windows[len(results) : len(results) + self._batch]
            try:
                results += session.recognize(samples, batch, options)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve_batch(error)
        return results

    def _sampling_options(self) -> dict[str, Any]:
        if self._config.temperature == 0:
            return {"beam_size": BEAM_SIZE}
        return {
            "beam_size": 1,
            "num_hypotheses": SAMPLE_COUNT,
            "sampling_topk": 0,
            "sampling_temperature": self._config.temperature,
        }

    def _build_tokenizer(self, language: str) -> Tokenizer:
        is_multilingual = self._model.model.is_multilingual
        return Tokenizer(
            self._model.hf_tokenizer, is_multilingual, task="transcribe", language=language
        )

    def _halve_batch(self, error: Exception) -> None:
        if self._batch == 1:
            raise EngineError(
                f"There is not enough memory for the model {self._name} on {self._device}. Choose "
                f"a smaller model, set {self._config.setting('compute_type')}=int8, or run fewer "
                "processes."
            ) from error
        self._batch //= 2


class _Session:
    """One transcription: the same language and the same prompt for all windows."""

    def __init__(
        self,
        model: WhisperModel,
        tokenizer: Tokenizer,
        device: Device,
        prompt: Prompt,
        timing_mode: TimingMode,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._timing_mode = timing_mode
        self._prompt_text = prompt.text
        self._suppressed = get_suppressed_tokens(tokenizer, [-1])
        before = [tokenizer.sot_prev, *prompt.tokens] if prompt.tokens else []
        after = [] if timing_mode is TimingMode.SEGMENTS else [tokenizer.no_timestamps]
        self._prompt = [*before, *tokenizer.sot_sequence, *after]

    def recognize(
        self, audio: Samples, windows: Sequence[WhisperWindow], options: dict[str, Any]
    ) -> list[WindowResult]:
        encoded = self._encode(
            [self._extract_features(slice_window(audio, window)) for window in windows]
        )
        outputs = self._model.model.generate(
            encoded,
            [self._prompt] * len(windows),
            max_length=self._model.max_length,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        tokens = [list(output.sequences_ids[0]) for output in outputs]
        timed = self._time_words(encoded, windows, tokens)
        return [
            WindowResult(
                window,
                text=self._tokenizer.decode(ids).strip(),
                # Scores are means over the tokens; the end of text counts as one more token.
                logprob=float(output.scores[0]) * len(ids) / (len(ids) + 1),
                no_speech=float(output.no_speech_prob),
                prompt=self._prompt_text,
                words=words,
            )
            for window, output, ids, words in zip(windows, outputs, tokens, timed, strict=True)
        ]

    def _extract_features(self, samples: Samples) -> Features:
        """Return the mel bands of half a minute.

        A short window is padded with silence, since Whisper was trained that way.
        """
        padded = np.pad(samples, (0, int(MAX_SECONDS * RATE) - len(samples)))
        return np.asarray(self._model.feature_extractor(padded)[..., :-1])

    def _encode(self, features: Sequence[Features]) -> ctranslate2.StorageView:
        if self._device.type == "cuda":
            return self._model.encode(np.stack(features))
        # On a CPU, one window at a time takes a fifth less time than a batch, since the data of one
        # window stay in the caches.
        outputs = [self._model.encode(tensor) for tensor in features]
        if len(outputs) == 1 or outputs[0].dtype != ctranslate2.DataType.float32:
            return outputs[0] if len(outputs) == 1 else self._model.encode(np.stack(features))
        return ctranslate2.StorageView.from_array(
            np.concatenate([np.array(tensor) for tensor in outputs])
        )

    def _time_words(
        self,
        encoded: ctranslate2.StorageView,
        windows: Sequence[WhisperWindow],
        tokens: Sequence[list[int]],
    ) -> Sequence[tuple[Word, ...]]:
        match self._timing_mode:
            case TimingMode.NONE:
                return [()] * len(windows)
            case TimingMode.SEGMENTS:
                pairs = zip(windows, tokens, strict=True)
                return [tuple(self._parse_timestamps(window, ids)) for window, ids in pairs]
            case TimingMode.ATTENTION:
                return self._align_by_attention(encoded, windows, tokens)

    def _parse_timestamps(self, window: WhisperWindow, tokens: Sequence[int]) -> Iterator[Word]:
        """Yield the words between the timestamps of the model's output."""
        first, start, pending = self._tokenizer.timestamp_begin, window.start, list[int]()
        for token in [*tokens, first + round(window.duration / _TIME_STEP)]:
            if token < first:
                pending.append(token)
                continue
            end = _clamp(window, window.start + (token - first) * _TIME_STEP)
            text = self._tokenizer.decode(pending)
            if text.strip():
                yield from spread_text(text, Interval(start, max(start, end)))
            start, pending = end, []

    def _align_by_attention(
        self,
        encoded: ctranslate2.StorageView,
        windows: Sequence[WhisperWindow],
        tokens: Sequence[list[int]],
    ) -> list[tuple[Word, ...]]:
        per_second = self._model.frames_per_second
        segments = [
            [_build_segment(window, ids, round(window.start * per_second))]
            for window, ids in zip(windows, tokens, strict=True)
        ]
        self._model.add_word_timestamps(
            segments,
            self._tokenizer,
            encoded,
            [max(1, math.ceil(window.duration) * per_second) for window in windows],
            _PREPENDED,
            _APPENDED,
            0.0,
        )
        return [
            tuple(_build_word(window, word) for word in segment["words"])
            for window, (segment,) in zip(windows, segments, strict=True)
        ]


def _build_segment(window: WhisperWindow, tokens: list[int], start: int) -> dict[str, Any]:
    """Return a window in faster-whisper's form; *start* in frames."""
    timing = {"start": window.start, "end": window.end, "seek": start}
    return {**timing, "tokens": tokens, "words": []}


def _build_word(window: WhisperWindow, timing: dict[str, Any]) -> Word:
    return Word(
        timing["word"],
        start=_clamp(window, float(timing["start"])),
        end=_clamp(window, float(timing["end"])),
        confidence=float(timing["probability"]),
    )


def _clamp(window: Interval, time: float) -> float:
    return min(window.end, max(window.start, time))


def _load_model(name: str, device: Device, config: WhisperConfig) -> WhisperModel:
    try:
        return WhisperModel(
            str(_find_folder(name)),
            device=device.type,
            device_index=device.index,
            compute_type=_choose_compute_type(device, config),
        )
    except (RuntimeError, MemoryError) as error:
        reason = "needs more memory than is available" if is_out_of_memory(error) else str(error)
        raise EngineError(f"The model {name} cannot be loaded on {device}: {reason}") from error


def _choose_compute_type(device: Device, config: WhisperConfig) -> str:
    value = config.compute_type
    if value == "auto":
        return "float16" if device.type == "cuda" else "int8"
    supported = ctranslate2.get_supported_compute_types(device.type, device.index)
    if value not in supported:
        raise EngineError(
            f"{config.setting('compute_type')} is {value}, which {device} does not support. "
            f"Allowed here: auto, {', '.join(sorted(supported))}."
        )
    return value


def _find_folder(name: str) -> Path:
    """Return the model's folder, after downloading the model if necessary."""
    model_dir = settings().model_dir
    if (model_dir / name).is_dir():
        return _check_whole(model_dir / name, name)
    for cache in (model_dir, None):  # None: Hugging Face's cache
        with suppress(LocalEntryNotFoundError):
            return _fetch(name, cache, local_files_only=True)
    return _fetch_from_hub(name, model_dir)


def _check_whole(folder: Path, name: str) -> Path:
    if missing_files := find_missing_files(folder, WHISPER_FILES):
        raise EngineError(
            f"The model {name} in MODEL_DIR is incomplete: {', '.join(missing_files)} is missing "
            "or damaged. Copy all files of a CTranslate2 model there, or remove the folder to "
            "download the model."
        )
    return folder


def _fetch_from_hub(name: str, model_dir: Path) -> Path:
    if name in MODELS:
        return fetch_for_worker(name)
    remedy = f"put its files into a folder {name} of MODEL_DIR"
    try:
        return _fetch(name, model_dir, local_files_only=False)
    except LocalEntryNotFoundError as error:
        prefix = f"The model {name} is not on this machine, and"
        if huggingface_hub.constants.HF_HUB_OFFLINE:
            raise EngineError(f"{prefix} HF_HUB_OFFLINE is set: {remedy}.") from error
        raise Transient(f"{prefix} the hub cannot be reached: {remedy}.", retry_in=30) from error
    except (HfHubHTTPError, OSError) as error:
        raise EngineError(f"The model {name} cannot be downloaded: {error}; {remedy}.") from error


def _fetch(name: str, cache: Path | None, *, local_files_only: bool) -> Path:
    try:
        path = download_model(
            name,
            cache_dir=str(cache) if cache else None,
            local_files_only=local_files_only,
            use_auth_token=settings().hf_token,
        )
    except LocalEntryNotFoundError:  # is a ValueError as well
        raise
    except ValueError as error:
        raise EngineError(
            f"There is no model {name!r}: it is neither a folder in MODEL_DIR nor a "
            "faster-whisper model such as base or large-v3."
        ) from error
    return Path(path)
