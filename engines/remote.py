"""WhisperX on another machine, through OpenAI's audio API; see ``WHISPERX_SERVICE_URL``.

Its worker needs no model, no GPU, no torch and little memory.
"""

from __future__ import annotations

import tempfile
import wave
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from core.errors import EngineError
from core.settings import settings
from engines import wav
from engines.base import Hints, ServerCapabilities
from engines.rest_client import responses
from engines.rest_client.client import RestClient
from engines.whisper_model import vocabulary
from transcripts.types import Transcription

#: Seconds of a chunk used to detect its language: one window of Whisper.
LANGUAGE_SECONDS = 30.0


class RemoteWhisperX:
    """Transcribes with a remote service.

    The model is that of the hints, else ``WHISPERX_DEFAULT_MODEL``. The phrases of the hints are
    sent as prompt and as hotwords, since services support one or the other.
    """

    def __init__(self) -> None:
        self._client = RestClient(settings())

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        """Transcribe a file. Raises the errors of `engines.rest_client.failures`."""
        payload = self._client.transcribe(audio, _build_fields(hints))
        return responses.build_transcription(payload, hints.language, wav.read_duration(audio))

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        """Return the language that the service detects in most of the files."""
        counts = Counter(self._find_language(path, hints) for path in audio)
        counts.pop(None, None)
        if not counts:
            raise EngineError(
                "the WhisperX service does not report the language: set it in the job"
            )
        return str(counts.most_common(1)[0][0])

    def _find_language(self, audio: Path, hints: Hints) -> str | None:
        with tempfile.TemporaryDirectory(prefix="language-") as folder:
            beginning = _copy_beginning(audio, Path(folder) / audio.name)
            return responses.read_language(self._client.transcribe(beginning, _build_fields(hints)))


def offer() -> ServerCapabilities:
    """Return the models that the service lists, after the default model."""
    usual = settings().whisperx_default_model
    return ServerCapabilities(
        tuple(dict.fromkeys((usual, *RestClient(settings()).list_models()))), languages=None
    )


def _build_fields(hints: Hints) -> dict[str, Any]:
    hotword_text = vocabulary.format_hotwords(hints.phrases)
    fields = {
        "model": hints.model or settings().whisperx_default_model,
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
        "temperature": str(settings().whisperx_temperature),
        "language": vocabulary.to_whisper_code(hints.language) if hints.language else None,
        "prompt": ", ".join(filter(None, (hotword_text, hints.initial_prompt))) or None,
        "hotwords": hotword_text,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _copy_beginning(audio: Path, path: Path) -> Path:
    pcm = next(wav.read_blocks(audio, LANGUAGE_SECONDS), b"")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(wav.RATE)
        file.writeframes(pcm)
    return path
