"""WhisperX for use as a library: transcribes single chunks."""

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
    """Transcribes chunks as `chunking.cut.AudioChunker` writes them.

    Raises `EngineError` if WhisperX is not installed, or the device does not exist.
    """

    def __init__(self, config: WhisperConfig | None = None) -> None:
        self.config = config or WhisperConfig.of(catalog.WHISPERX.name)
        self._engine = catalog.load_recognizer(catalog.WHISPERX, self.config)

    def transcribe(
        self,
        audio: Path | str,
        *,
        language: str | None = None,
        phrases: Mapping[str, float] | None = None,
    ) -> Transcription:
        """Transcribe a 16 kHz mono 16-bit WAV file; times are seconds from its start.

        *language*: a tag, or None to detect it. *phrases*: expected phrases with their weights.
        Raises `EngineError` if it cannot, `Transient` if all attempts failed.
        """
        hints = Hints(language, self.config.model_name, phrases or {})
        for _ in range(self.config.max_retries):
            try:
                return self._engine.transcribe(Path(audio), hints)
            except Transient as error:
                time.sleep(error.retry_in)
        return self._engine.transcribe(Path(audio), hints)
