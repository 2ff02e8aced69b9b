"""WhisperX: Whisper in batches, words timed by wav2vec 2.0; on a GPU or a CPU."""

from __future__ import annotations

import logging

from engines.torch_support import devices
from engines.whisper_model.alignment import Aligner, NoAligner
from engines.whisper_model.config import WhisperConfig
from engines.whisper_model.model import TimingMode
from engines.whisper_model.recognizer import (
    ModelTimer,
    SingleEntryCache,
    WhisperRecognizer,
    WordTimer,
)
from engines.whisper_model.vocabulary import Remark
from transcripts.warning import WarningCode

log = logging.getLogger(__name__)


class WhisperX(WhisperRecognizer):
    """Whisper with one alignment model per language; otherwise words are timed as in `whisper`."""

    def __init__(self, config: WhisperConfig | None = None) -> None:
        config = config or WhisperConfig.of("whisperx")
        super().__init__(config)
        self._device = devices.choose_device(config.device, "WHISPERX_DEVICE")
        self._timers = SingleEntryCache(self._load_timer)

    def choose_timer(self, language: str) -> tuple[WordTimer, Remark | None]:
        return self._timers[language]

    def _load_timer(self, language: str) -> tuple[WordTimer, Remark | None]:
        try:
            return Aligner(language, self._device), None
        except NoAligner as reason:
            log.warning("Whisper itself sets the word times: %s", reason)
            rough = f"word times are less exact: {reason}"
            return ModelTimer(TimingMode.ATTENTION), Remark(WarningCode.WORD_TIMES_ROUGH, rough)
