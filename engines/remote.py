"""WhisperX on another machine, behind the audio API of OpenAI; see ``WHISPERX_SERVICE_URL``.

A worker that serves it needs no model, no GPU, no torch and little memory.
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
from engines.base import Hints, Offer
from engines.rest import answers
from engines.rest.line import Line
from engines.whisper import telling
from transcripts.types import Heard

#: Seconds of a chunk by which its language is found: as much as Whisper hears at once.
TO_KNOW_A_LANGUAGE = 30.0


class RemoteWhisperX:
    """Hears what the service hears.

    The model is the one that the hints name, else ``WHISPERX_DEFAULT_MODEL``. The phrases of the
    hints are sent as prompt and as hotwords: services know one or the other.
    """

    def __init__(self) -> None:
        self._line = Line(settings())

    def transcribe(self, audio: Path, hints: Hints) -> Heard:
        """Have a file heard. Raises as `engines.rest.failures` says."""
        told = self._line.transcribe(audio, _fields(hints))
        return answers.heard(told, hints.language, wav.seconds(audio))

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        """The language that the service finds in most of the files."""
        found = Counter(self._language(path, hints) for path in audio)
        found.pop(None, None)
        if not found:
            raise EngineError("the WhisperX service does not tell the language: name it in the job")
        return str(found.most_common(1)[0][0])

    def _language(self, audio: Path, hints: Hints) -> str | None:
        with tempfile.TemporaryDirectory(prefix="language-") as folder:
            beginning = _beginning(audio, Path(folder) / audio.name)
            return answers.language(self._line.transcribe(beginning, _fields(hints)))


def offer() -> Offer:
    """What the service lists, with the model of a job that names none before that."""
    usual = settings().whisperx_default_model
    return Offer(tuple(dict.fromkeys((usual, *Line(settings()).models()))), languages=None)


def _fields(hints: Hints) -> dict[str, Any]:
    expected = telling.hotwords(hints.phrases)
    fields = {
        "model": hints.model or settings().whisperx_default_model,
        "response_format": "verbose_json",
        "timestamp_granularities[]": ["word", "segment"],
        "temperature": str(settings().whisperx_temperature),
        "language": telling.code(hints.language) if hints.language else None,
        "prompt": ", ".join(filter(None, (expected, hints.initial_prompt))) or None,
        "hotwords": expected,
    }
    return {name: value for name, value in fields.items() if value is not None}


def _beginning(audio: Path, path: Path) -> Path:
    sound = next(wav.blocks(audio, TO_KNOW_A_LANGUAGE), b"")
    with wave.open(str(path), "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(wav.RATE)
        file.writeframes(sound)
    return path
