"""Configuration of a Whisper engine. Imports no engine library."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from importlib.util import find_spec
from typing import Any

from core.settings import settings


def default_engine() -> str:
    """Return the engine whose settings are the defaults: ``whisperx`` if installed."""
    return "whisperx" if find_spec("whisperx") else "whisper"


def _read_setting(name: str, engine: str | None = None) -> Any:
    return getattr(settings(), f"{engine or default_engine()}_{name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperConfig:
    """Options of a Whisper engine; the defaults are the settings of `engine`."""

    #: ``whisper`` or ``whisperx``: prefix of the settings named in errors.
    engine: str = field(default_factory=default_engine)
    #: A size, such as ``large-v3``, or the name of a folder in ``MODEL_DIR``.
    model_name: str = field(default_factory=partial(_read_setting, "default_model"))
    #: 0: the most likely words, reproducible; above 0: words are sampled at random.
    temperature: float = field(default_factory=partial(_read_setting, "temperature"))
    #: Windows of 30 s per batch; halved if memory runs out.
    batch_size: int = field(default_factory=partial(_read_setting, "batch_size"))
    #: Attempts after the first, for temporary errors. Only `WhisperProcessor` uses it: the service
    #: counts the attempts of each chunk itself.
    max_retries: int = field(default_factory=lambda: settings().chunk_max_retries)
    #: ``auto``, ``cpu``, ``cuda``, or ``cuda:1`` for the second GPU.
    device: str = field(default_factory=partial(_read_setting, "device"))
    #: Number format of the computation; ``auto``: float16 on a GPU, int8 without.
    compute_type: str = field(default_factory=partial(_read_setting, "compute_type"))

    @classmethod
    def of(cls, engine: str) -> WhisperConfig:
        """Return the configuration with all values from the settings of that engine."""
        return cls(
            engine=engine,
            model_name=_read_setting("default_model", engine),
            temperature=_read_setting("temperature", engine),
            batch_size=_read_setting("batch_size", engine),
            device=_read_setting("device", engine),
            compute_type=_read_setting("compute_type", engine),
        )

    def setting(self, name: str) -> str:
        """Return the environment variable of an option: ``WHISPER_DEVICE`` for ``device``."""
        return f"{self.engine}_{name}".upper()
