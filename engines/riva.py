"""NVIDIA Riva and its Parakeet containers: a client of a server that transcribes.

Its worker needs no model, no GPU and little memory. The server batches concurrent requests, so
several processes per worker are useful.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from riva.client.proto import riva_asr_pb2 as pb
from riva.client.proto.riva_audio_pb2 import AudioEncoding

from core.errors import EngineError, TranscribeError
from core.settings import settings
from engines import wav
from engines.base import Hints, ServerCapabilities, SpeakerHints
from engines.riva_client import responses
from engines.riva_client.client import RivaClient
from engines.riva_client.failures import MessageTooLarge
from engines.riva_client.responses import RecognitionResult
from engines.riva_client.server_models import ANY, RivaModel, choose_models
from transcripts.types import Diarization, Transcription

#: Seconds of audio in one message of a stream.
MESSAGE_SECONDS = 0.2
#: Seconds between our timeout and the one after which the worker replaces the process.
_MARGIN_SECONDS = 5
#: Timeout in seconds for diarizing a long recording; `tasks.steps.diarize` allows an hour.
_MAX_STREAM_SECONDS = 3500.0


class Riva:
    """Transcribes with a model of a Riva server: whole chunks if possible, else as a stream."""

    def __init__(self) -> None:
        self._settings = settings()
        self._client = RivaClient(self._settings)
        self._models: tuple[RivaModel, ...] = ()

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        """Transcribe a file, with punctuation and capitals if the model writes them."""
        pcm = wav.read_pcm(audio)
        try:
            return self._transcribe_pcm(pcm, hints)
        except TranscribeError:
            # The server may have other models after a restart.
            self._models = ()
            raise

    def _transcribe_pcm(self, pcm: bytes, hints: Hints) -> Transcription:
        self._models = self._models or self._client.list_models()
        language = hints.language or self._settings.riva_language
        first, *fallbacks = choose_models(
            self._models, hints.model or self._settings.riva_model, language
        )
        try:
            return self._transcribe_with(first, language, pcm, hints)
        except MessageTooLarge:
            streaming = next((model for model in fallbacks if model.streams), None)
            if streaming is None:
                raise
            return self._transcribe_with(streaming, language, pcm, hints)

    def _transcribe_with(
        self, model: RivaModel, language: str, pcm: bytes, hints: Hints
    ) -> Transcription:
        config = _build_config(model, language, hints.phrases)
        seconds = len(pcm) / 2 / wav.RATE
        timeout = min(
            self._settings.riva_timeout + seconds, self._settings.chunk_time_limit - _MARGIN_SECONDS
        )
        results: Sequence[RecognitionResult]
        if model.streams:
            results = self._client.stream(config, _split_pcm(pcm), timeout)
        else:
            results = self._client.recognize(config, pcm, timeout)
        return responses.build_transcription(results, config.language_code, seconds)


class RivaSpeakers:
    """Diarizes with the server's own diarizer, the whole recording in one stream.

    Its speaker numbers are valid only within one call, so they cannot be taken from transcribed
    chunks. Therefore the recording is processed a second time.
    """

    def __init__(self) -> None:
        self._settings = settings()
        self._client = RivaClient(self._settings)

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        """Find the turns; raise `EngineError` if the server reports no speakers."""
        language = self._settings.riva_language
        models = choose_models(self._client.list_models(), self._settings.riva_model, language)
        model = next((model for model in models if model.streams), models[0])
        config = _build_config(model, language, {})
        config.diarization_config.enable_speaker_diarization = True
        config.diarization_config.max_speaker_count = hints.max_speakers or 0

        seconds = wav.read_duration(audio)
        words = responses.collect_words(self._recognize(model, config, audio, seconds), seconds)
        turns = responses.build_turns(words, self._settings.riva_first_speaker)
        if words and not turns:
            raise EngineError(
                "Riva reported no speakers: its model must be deployed with a diarizer, "
                "for example NIM_TAGS_SELECTOR=...,diarizer=sortformer"
            )
        return Diarization(turns)

    def _recognize(
        self, model: RivaModel, config: pb.RecognitionConfig, audio: Path, seconds: float
    ) -> Sequence[RecognitionResult]:
        timeout = min(self._settings.riva_timeout + seconds, _MAX_STREAM_SECONDS)
        if model.streams:
            return self._client.stream(config, wav.read_blocks(audio, MESSAGE_SECONDS), timeout)
        return self._client.recognize(config, wav.read_pcm(audio), timeout)


def offer() -> ServerCapabilities:
    """Return the server's models and languages; raises as `Riva.transcribe` for default options."""
    riva_settings = settings()
    models = RivaClient(riva_settings).list_models()
    usual = choose_models(models, riva_settings.riva_model, riva_settings.riva_language)
    tags = dict.fromkeys(
        (riva_settings.riva_language, *(tag for model in models for tag in model.languages))
    )
    return ServerCapabilities(
        models=tuple(dict.fromkeys(model.name for model in (*usual, *models))),
        languages=None if ANY in tags else tuple(tags),
        # Only a configured server is used by default; jobs do not go to a server at the default
        # address.
        by_default=riva_settings.riva_uri is not None,
    )


def _build_config(
    model: RivaModel, language: str, phrases: Mapping[str, float]
) -> pb.RecognitionConfig:
    config = pb.RecognitionConfig(
        encoding=AudioEncoding.LINEAR_PCM,
        sample_rate_hertz=wav.RATE,
        audio_channel_count=1,
        language_code=model.find_tag(language),
        model=model.name,
        max_alternatives=1,
        enable_word_time_offsets=True,
        enable_automatic_punctuation=True,
        # Keep numbers as words: written as digits, they would no longer match the word times.
        verbatim_transcripts=True,
    )
    for boost in sorted(set(phrases.values())):
        config.speech_contexts.add(
            phrases=[phrase for phrase, strength in phrases.items() if strength == boost],
            boost=boost,
        )
    return config


def _split_pcm(pcm: bytes) -> Iterable[bytes]:
    size = 2 * int(MESSAGE_SECONDS * wav.RATE)
    return (pcm[offset : offset + size] for offset in range(0, len(pcm), size))
