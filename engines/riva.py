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
from engines.base import Hints, Offer, SpeakerHints
from engines.nim import answers
from engines.nim.answers import Result
from engines.nim.failures import MessageTooLarge
from engines.nim.line import Line
from engines.nim.models import ANY, Model, choose
from transcripts.types import Heard, Voices

#: Seconds of sound in a message of a stream.
PIECE = 0.2
#: Seconds by which we are done before the worker would replace the process.
_MARGIN = 5
#: Seconds for the speakers of a long recording; `tasks.diarize` allows an hour.
_LONGEST_STREAM = 3500.0


class Riva:
    """Hears with a model of a Riva server: whole chunks where it can, else as a stream."""

    def __init__(self) -> None:
        self._now = settings()
        self._line = Line(self._now)
        self._models: tuple[Model, ...] = ()

    def transcribe(self, audio: Path, hints: Hints) -> Heard:
        """Have a file heard, with full stops and capitals where the model sets them."""
        pcm = wav.samples(audio)
        try:
            return self._hear(pcm, hints)
        except TranscribeError:
            # The server may come back with other models.
            self._models = ()
            raise

    def _hear(self, pcm: bytes, hints: Hints) -> Heard:
        self._models = self._models or self._line.models()
        asked = hints.language or self._now.riva_language
        first, *others = choose(self._models, hints.model or self._now.riva_model, asked)
        try:
            return self._hear_with(first, asked, pcm, hints)
        except MessageTooLarge:
            streaming = next((model for model in others if model.streams), None)
            if streaming is None:
                raise
            return self._hear_with(streaming, asked, pcm, hints)

    def _hear_with(self, model: Model, asked: str, pcm: bytes, hints: Hints) -> Heard:
        config = _config(model, asked, hints.phrases)
        seconds = len(pcm) / 2 / wav.RATE
        timeout = min(self._now.riva_timeout + seconds, self._now.chunk_time_limit - _MARGIN)
        results: Sequence[Result]
        if model.streams:
            results = self._line.stream(config, _pieces(pcm), timeout)
        else:
            results = self._line.recognize(config, pcm, timeout)
        return answers.heard(results, config.language_code, seconds)


class RivaSpeakers:
    """Finds speakers with the server's own diarizer, over the whole recording in one stream.

    Its numbers hold only within one call, so the chunks that are transcribed cannot bring theirs.
    The recording is heard a second time for it.
    """

    def __init__(self) -> None:
        self._now = settings()
        self._line = Line(self._now)

    def diarize(self, audio: Path, hints: SpeakerHints) -> Voices:
        """Raises `EngineError` when the server tells no speakers, which it does silently."""
        asked = self._now.riva_language
        models = choose(self._line.models(), self._now.riva_model, asked)
        model = next((model for model in models if model.streams), models[0])
        config = _config(model, asked, {})
        config.diarization_config.enable_speaker_diarization = True
        config.diarization_config.max_speaker_count = hints.max_speakers or 0

        seconds = wav.seconds(audio)
        words = answers.said(self._results(model, config, audio, seconds), seconds)
        turns = answers.turns(words, self._now.riva_first_speaker)
        if words and not turns:
            raise EngineError(
                "Riva told no speakers: its model must be deployed with a diarizer, "
                "for example NIM_TAGS_SELECTOR=...,diarizer=sortformer"
            )
        return Voices(turns)

    def _results(
        self, model: Model, config: pb.RecognitionConfig, audio: Path, seconds: float
    ) -> Sequence[Result]:
        timeout = min(self._now.riva_timeout + seconds, _LONGEST_STREAM)
        if model.streams:
            return self._line.stream(config, wav.blocks(audio, PIECE), timeout)
        return self._line.recognize(config, wav.samples(audio), timeout)


def offer() -> Offer:
    """What the server has; raises as `Riva.transcribe` would for a job that names nothing."""
    now = settings()
    models = Line(now).models()
    usual = choose(models, now.riva_model, now.riva_language)
    tags = dict.fromkeys((now.riva_language, *(tag for model in models for tag in model.languages)))
    return Offer(
        models=tuple(dict.fromkeys(model.name for model in (*usual, *models))),
        languages=None if ANY in tags else tuple(tags),
        # Somebody must have said that there is a server: jobs are not given to what may be one.
        by_default=now.riva_uri is not None,
    )


def _config(model: Model, asked: str, phrases: Mapping[str, float]) -> pb.RecognitionConfig:
    config = pb.RecognitionConfig(
        encoding=AudioEncoding.LINEAR_PCM,
        sample_rate_hertz=wav.RATE,
        audio_channel_count=1,
        language_code=model.tag(asked),
        model=model.name,
        max_alternatives=1,
        enable_word_time_offsets=True,
        enable_automatic_punctuation=True,
        # Numbers stay words: written as digits, words and their times would no longer be as many.
        verbatim_transcripts=True,
    )
    for boost in sorted(set(phrases.values())):
        config.speech_contexts.add(
            phrases=[phrase for phrase, its in phrases.items() if its == boost], boost=boost
        )
    return config


def _pieces(pcm: bytes) -> Iterable[bytes]:
    size = 2 * int(PIECE * wav.RATE)
    return (pcm[at : at + size] for at in range(0, len(pcm), size))
