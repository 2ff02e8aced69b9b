"""Whisper on faster-whisper and CTranslate2: without torch, on a CPU or a GPU."""

from __future__ import annotations

from core.settings import settings
from engines.whisper_model.config import WhisperConfig
from engines.whisper_model.model import TimingMode
from engines.whisper_model.recognizer import ModelTimer, WhisperRecognizer, WordTimer
from engines.whisper_model.vocabulary import Remark


class FasterWhisper(WhisperRecognizer):
    """Whisper with word times from the model itself; see ``WHISPER_WORD_TIMES``."""

    def __init__(self, config: WhisperConfig | None = None) -> None:
        super().__init__(config or WhisperConfig.of("whisper"))
        self._timer = ModelTimer(TimingMode(settings().whisper_word_times))

    def choose_timer(self, language: str) -> tuple[WordTimer, Remark | None]:  # noqa: ARG002
        return self._timer, None
