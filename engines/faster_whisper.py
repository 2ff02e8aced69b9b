"""Whisper by faster-whisper and CTranslate2: without torch, on a processor or a GPU."""

from __future__ import annotations

from core.settings import settings
from engines.whisper.config import WhisperConfig
from engines.whisper.models import Times
from engines.whisper.recognizer import ModelTimer, Timer, WhisperRecognizer
from engines.whisper.telling import Remark


class FasterWhisper(WhisperRecognizer):
    """Times words by the attention of the model; see ``WHISPER_WORD_TIMES``."""

    def __init__(self, config: WhisperConfig | None = None) -> None:
        super().__init__(config or WhisperConfig.of("whisper"))
        self._timer = ModelTimer(Times(settings().whisper_word_times))

    def timer(self, language: str) -> tuple[Timer, Remark | None]:  # noqa: ARG002
        return self._timer, None
