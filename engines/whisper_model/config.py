"""What an engine of Whisper is given when it is loaded. Needs no library."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

from core.settings import settings


def default_engine() -> str:
    """The engine that `engines.whisper_processor` uses: ``whisperx`` where it is installed."""
    return "whisperx" if find_spec("whisperx") else "whisper"


def _read_setting(name: str, engine: str | None = None) -> Any:
    return getattr(settings(), f"{engine or default_engine()}_{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperConfig:
    """What is left out is as the settings of the `engine` have it."""

    #: ``whisper`` or ``whisperx``: whose settings an error names.
    engine: str = field(default_factory=default_engine)
    #: By size, such as ``large-v3``, or a folder's name in ``MODEL_DIR``.
    model_name: str = field(default_factory=partial(_read_setting, "default_model"))
    #: 0: the likeliest words, the same each time; above, words are drawn by lot.
    temperature: float = field(default_factory=partial(_read_setting, "temperature"))
    #: Windows of 30 s that are heard at once; halved when memory runs out.
    batch_size: int = field(default_factory=partial(_read_setting, "batch_size"))
    #: Tries after the first, when the reason may pass. Of `WhisperProcessor` alone: the service
    #: counts the tries of each chunk itself.
    max_retries: int = field(default_factory=lambda: settings().chunk_max_retries)
    #: ``auto``, ``cpu``, ``cuda``, or ``cuda:1`` for the second GPU.
    device: str = field(default_factory=partial(_read_setting, "device"))
    #: Numbers that the model computes with; ``auto``: float16 on a GPU, int8 without.
    compute_type: str = field(default_factory=partial(_read_setting, "compute_type"))

    @classmethod
    def of(cls, engine: str) -> WhisperConfig:
        """All as the settings of that engine have it."""
        return cls(
            engine=engine,
            model_name=_read_setting("default_model", engine),
            temperature=_read_setting("temperature", engine),
            batch_size=_read_setting("batch_size", engine),
            device=_read_setting("device", engine),
            compute_type=_read_setting("compute_type", engine),
        )

    def setting(self, name: str) -> str:
        """The variable that an operator sets: ``WHISPER_DEVICE`` for ``device``."""
        return f"{self.engine}_{name}".upper()
