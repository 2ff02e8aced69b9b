"""Finds Whisper models by name and asks them: what is said in some windows, and in what language.

A model is a folder of CTranslate2 files. One that lies in ``MODEL_DIR`` is read from there and
nothing else; any other is looked for in the cache below that folder and in Hugging Face's own, then
fetched into that folder.
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
from engines.shelf import WHISPER_FILES, lacking
from engines.sound import Sound
from engines.wav import RATE
from engines.weights.pinned import MODELS
from engines.weights.workers import fetch_for_worker
from engines.whisper import telling
from engines.whisper.config import WhisperConfig
from engines.whisper.device import Device, choose_device, is_out_of_memory
from engines.whisper.prompt import Prompt, build_prompt
from engines.whisper.timing import spread_text
from engines.whisper.windows import LONGEST, Window, samples
from transcripts.types import Span, Word

#: Of the beams that are followed the best is taken, as openai/whisper and faster-whisper do.
BEAMS = 5
#: How often words are drawn by lot above temperature 0; the likeliest draw is taken.
DRAWS = 5
#: A language that two places agree on with this probability is not looked for in a third.
SURE_OF_LANGUAGE = 0.8

#: How a doubtful window is heard a second time: no four words twice.
CAREFUL = {"no_repeat_ngram_size": 4, "repetition_penalty": 1.1}

#: Seconds between two times that the model can write.
_TIME_STEP = 0.02

_PREPENDED, _APPENDED = "\"'“¿([{-", "\"'.。,，!！?？:：”)]}、"

Features = NDArray[np.float32]


class Times(StrEnum):
    """How the times of words are found."""

    #: Not at all: text only.
    NONE = "none"
    #: The model writes when each sentence begins and ends, and the words share that time.
    SEGMENTS = "segments"
    #: By what the model attends to in the sound while it writes; a tenth more time.
    ATTENTION = "attention"


@dataclass(frozen=True, slots=True)
class Said:
    """What the model says of a window."""

    window: Window
    text: str
    logprob: float
    no_speech: float
    #: What the model had read before.
    read: str = ""
    #: Parts of the text with times (seconds from the start of the sound); empty for `Times.NONE`.
    timed: tuple[Word, ...] = ()

    @property
    def until(self) -> float:
        """Seconds up to which the model has listened; with `Times.SEGMENTS` it may stop early."""
        return self.timed[-1].end if self.timed else self.window.end


class Whisper:
    """A loaded model."""

    def __init__(self, name: str, config: WhisperConfig) -> None:
        self._name = name
        self._config = config
        self._device = choose_device(config.device, config.setting("device"))
        self._batch = config.batch_size
        self._model = _load(name, self._device, config)

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
        """The language of which all sounds together are the likeliest.

        Looks no further where the first ones agree without a doubt.
        """
        if not self._model.model.is_multilingual:
            return "en"
        likely: dict[str, float] = defaultdict(float)
        for count, sound in enumerate(sounds, 1):
            features = self._model.feature_extractor(sound)
            for language, probability in self._model.detect_language(features=features)[2]:
                likely[language] += probability
            if count >= 2 and max(likely.values()) >= SURE_OF_LANGUAGE * count:
                break
        # Equal ones, as of no sound at all, by name: the answer must be the same each time.
        return max(sorted(likely), key=likely.__getitem__, default="en")

    def prompt(self, terms: Sequence[str], text: str | None, language: str) -> Prompt:
        """What is read before each window."""
        return build_prompt(terms, text, self._tokenizer(language).encode)

    def hear(
        self,
        sound: Sound,
        windows: Sequence[Window],
        language: str,
        *,
        prompt: Prompt | None = None,
        times: Times = Times.ATTENTION,
        is_careful: bool = False,
    ) -> list[Said]:
        """What is said in each window.

        Half as much is heard at once when memory runs out; raises `EngineError` when it is too
        small for one window.
        """
        tokenizer = self._tokenizer(language)
        session = _Session(self._model, tokenizer, self._device, prompt or Prompt(), times)
        options = {**self._sampling(), **(CAREFUL if is_careful else {})}
        said: list[Said] = []
        while len(said) < len(windows):
            batch = windows[len(said) : len(said) + self._batch]
            try:
                said += session.hear(sound, batch, options)
            except (RuntimeError, MemoryError) as error:
                if not is_out_of_memory(error):
                    raise
                self._halve(error)
        return said

    def _sampling(self) -> dict[str, Any]:
        if self._config.temperature == 0:
            return {"beam_size": BEAMS}
        return {
            "beam_size": 1,
            "num_hypotheses": DRAWS,
            "sampling_topk": 0,
            "sampling_temperature": self._config.temperature,
        }

    def _tokenizer(self, language: str) -> Tokenizer:
        is_multilingual = self._model.model.is_multilingual
        return Tokenizer(
            self._model.hf_tokenizer, is_multilingual, task="transcribe", language=language
        )

    def _halve(self, error: Exception) -> None:
        if self._batch == 1:
            raise EngineError(
                f"There is not enough memory for the model {self._name} on {self._device}. Choose "
                f"a smaller model, set {self._config.setting('compute_type')}=int8, or run fewer "
                "processes."
            ) from error
        self._batch //= 2


class _Session:
    """One hearing: the same language and the same prompt for all windows."""

    def __init__(
        self,
        model: WhisperModel,
        tokenizer: Tokenizer,
        device: Device,
        prompt: Prompt,
        times: Times,
    ) -> None:
        self._model = model
        self._tokenizer = tokenizer
        self._device = device
        self._times = times
        self._read = prompt.text
        self._suppressed = get_suppressed_tokens(tokenizer, [-1])
        before = [tokenizer.sot_prev, *prompt.tokens] if prompt.tokens else []
        after = [] if times is Times.SEGMENTS else [tokenizer.no_timestamps]
        self._prompt = [*before, *tokenizer.sot_sequence, *after]

    def hear(self, sound: Sound, windows: Sequence[Window], options: dict[str, Any]) -> list[Said]:
        encoded = self._encode([self._features(samples(sound, window)) for window in windows])
        found = self._model.model.generate(
            encoded,
            [self._prompt] * len(windows),
            max_length=self._model.max_length,
            suppress_blank=True,
            suppress_tokens=self._suppressed,
            return_scores=True,
            return_no_speech_prob=True,
            **options,
        )
        tokens = [list(one.sequences_ids[0]) for one in found]
        timed = self._time(encoded, windows, tokens)
        return [
            Said(
                window,
                text=self._tokenizer.decode(ids).strip(),
                # Scores are means over the tokens; the end of the text counts as one more.
                logprob=float(one.scores[0]) * len(ids) / (len(ids) + 1),
                no_speech=float(one.no_speech_prob),
                read=self._read,
                timed=words,
            )
            for window, one, ids, words in zip(windows, found, tokens, timed, strict=True)
        ]

    def _features(self, sound: Sound) -> Features:
        """Mel bands of half a minute.

        Silence, not nothing, follows a short window: that is what Whisper has learned.
        """
        whole = np.pad(sound, (0, int(LONGEST * RATE) - len(sound)))
        return np.asarray(self._model.feature_extractor(whole)[..., :-1])

    def _encode(self, features: Sequence[Features]) -> ctranslate2.StorageView:
        if self._device.type == "cuda":
            return self._model.encode(np.stack(features))
        # On a processor one after the other takes a fifth less time than all at once, since what
        # one window needs stays in the caches.
        outputs = [self._model.encode(one) for one in features]
        if len(outputs) == 1 or outputs[0].dtype != ctranslate2.DataType.float32:
            return outputs[0] if len(outputs) == 1 else self._model.encode(np.stack(features))
        return ctranslate2.StorageView.from_array(
            np.concatenate([np.array(one) for one in outputs])
        )

    def _time(
        self,
        encoded: ctranslate2.StorageView,
        windows: Sequence[Window],
        tokens: Sequence[list[int]],
    ) -> Sequence[tuple[Word, ...]]:
        match self._times:
            case Times.NONE:
                return [()] * len(windows)
            case Times.SEGMENTS:
                pairs = zip(windows, tokens, strict=True)
                return [tuple(self._written_times(window, ids)) for window, ids in pairs]
            case Times.ATTENTION:
                return self._attended_times(encoded, windows, tokens)

    def _written_times(self, window: Window, tokens: Sequence[int]) -> Iterator[Word]:
        """The words between the times that the model has written."""
        first, start, piece = self._tokenizer.timestamp_begin, window.start, list[int]()
        for token in [*tokens, first + round(window.duration / _TIME_STEP)]:
            if token < first:
                piece.append(token)
                continue
            end = _within(window, window.start + (token - first) * _TIME_STEP)
            text = self._tokenizer.decode(piece)
            if text.strip():
                yield from spread_text(text, Span(start, max(start, end)))
            start, piece = end, []

    def _attended_times(
        self,
        encoded: ctranslate2.StorageView,
        windows: Sequence[Window],
        tokens: Sequence[list[int]],
    ) -> list[tuple[Word, ...]]:
        per_second = self._model.frames_per_second
        pieces = [
            [_piece(window, ids, round(window.start * per_second))]
            for window, ids in zip(windows, tokens, strict=True)
        ]
        self._model.add_word_timestamps(
            pieces,
            self._tokenizer,
            encoded,
            [max(1, math.ceil(window.duration) * per_second) for window in windows],
            _PREPENDED,
            _APPENDED,
            0.0,
        )
        return [
            tuple(_word(window, word) for word in piece["words"])
            for window, (piece,) in zip(windows, pieces, strict=True)
        ]


def _piece(window: Window, tokens: list[int], start: int) -> dict[str, Any]:
    """A window as faster-whisper has it; *start* in frames."""
    span = {"start": window.start, "end": window.end, "seek": start}
    return {**span, "tokens": tokens, "words": []}


def _word(window: Window, found: dict[str, Any]) -> Word:
    return Word(
        found["word"],
        start=_within(window, float(found["start"])),
        end=_within(window, float(found["end"])),
        confidence=float(found["probability"]),
    )


def _within(window: Span, time: float) -> float:
    return min(window.end, max(window.start, time))


def _load(name: str, device: Device, config: WhisperConfig) -> WhisperModel:
    try:
        return WhisperModel(
            str(_folder(name)),
            device=device.type,
            device_index=device.index,
            compute_type=_compute_type(device, config),
        )
    except (RuntimeError, MemoryError) as error:
        what = "needs more memory than there is" if is_out_of_memory(error) else str(error)
        raise EngineError(f"The model {name} cannot be loaded on {device}: {what}") from error


def _compute_type(device: Device, config: WhisperConfig) -> str:
    wanted = config.compute_type
    if wanted == "auto":
        return "float16" if device.type == "cuda" else "int8"
    known = ctranslate2.get_supported_compute_types(device.type, device.index)
    if wanted not in known:
        raise EngineError(
            f"{config.setting('compute_type')} is {wanted}, which {device} cannot compute with. "
            f"Allowed here: auto, {', '.join(sorted(known))}."
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
            f"The model {name} in MODEL_DIR is not whole: {', '.join(lacks)} is missing or broken. "
            "Copy all files of a CTranslate2 model there, or remove the folder to have it fetched."
        )
    return folder


def _fetch_from_hub(name: str, ours: Path) -> Path:
    if name in MODELS:
        return fetch_for_worker(name)
    remedy = f"put its files into a folder {name} of MODEL_DIR"
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
