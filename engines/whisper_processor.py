"""WhisperX without the service around it: chunk in, words out."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path

from core.errors import Transient
from engines import catalog
from engines.base import Hints
from engines.whisper_model.config import WhisperConfig
from transcripts.types import Transcription

__all__ = ["WhisperConfig", "WhisperProcessor"]


class WhisperProcessor:
    """Hears chunks as `chunking.cut.AudioChunker` writes them.

    Raises `EngineError` when WhisperX is not installed, or the device is not there.
    """

    def __init__(self, config: WhisperConfig | None = None) -> None:
        self.config = config or WhisperConfig()
        self._engine = catalog.load_recognizer(catalog.WHISPERX, self.config)

    def transcribe(
        self,
        audio: Path | str,
        *,
        language: str | None = None,
        phrases: Mapping[str, float] | None = None,
    ) -> Transcription:
        """Hear a 16 kHz mono 16-bit WAV file; times are seconds from its start.

        *language*: a tag, or None to have it found out. *phrases*: to expect, with their boosts.
        Raises `EngineError` when it cannot, `Transient` when it could not after all tries.
        """
        hints = Hints(language, self.config.model_name, phrases or {})
        for _ in range(self.config.max_retries):
            try:
                return self._engine.transcribe(Path(audio), hints)
            except Transient as error:
                time.sleep(error.retry_in)
        return self._engine.transcribe(Path(audio), hints)
