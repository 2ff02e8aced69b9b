"""NVIDIA Riva and its Parakeet containers: a server hears, this only asks it.

A worker that serves it needs no model, no GPU and little memory. The server batches what it is
asked at the same time, so several processes a worker are worth it.
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

#: Seconds of sound in a message of a stream.
MESSAGE_SECONDS = 0.2
#: Seconds by which we are done before the worker would replace the process.
_MARGIN_SECONDS = 5
#: Seconds for the speakers of a long recording; `tasks.steps.diarize` allows an hour.
_MAX_STREAM_SECONDS = 3500.0


class Riva:
    """Hears with a model of a Riva server: whole chunks where it can, else as a stream."""

    def __init__(self) -> None:
        self._settings = settings()
        self._client = RivaClient(self._settings)
        self._models: tuple[RivaModel, ...] = ()

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        """Have a file heard, with full stops and capitals where the model sets them."""
        pcm = wav.read_pcm(audio)
        try:
            return self._transcribe_pcm(pcm, hints)
        except TranscribeError:
            # The server may come back with other models.
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
    """Finds speakers with the server's own diarizer, over the whole recording in one stream.

    Its numbers hold only within one call, so the chunks that are transcribed cannot bring theirs.
    The recording is heard a second time for it.
    """

    def __init__(self) -> None:
        self._settings = settings()
        self._client = RivaClient(self._settings)

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        """Raises `EngineError` when the server tells no speakers, which it does silently."""
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
                "Riva told no speakers: its model must be deployed with a diarizer, "
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
    """What the server has; raises as `Riva.transcribe` would for a job that names nothing."""
    riva_settings = settings()
    models = RivaClient(riva_settings).list_models()
    usual = choose_models(models, riva_settings.riva_model, riva_settings.riva_language)
    tags = dict.fromkeys(
        (riva_settings.riva_language, *(tag for model in models for tag in model.languages))
    )
    return ServerCapabilities(
        models=tuple(dict.fromkeys(model.name for model in (*usual, *models))),
        languages=None if ANY in tags else tuple(tags),
        # Somebody must have said that there is a server: jobs are not given to what may be one.
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
        # Numbers stay words: written as digits, words and their times would no longer be as many.
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
