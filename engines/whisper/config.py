"""What WhisperX is told when it is loaded. Needs no library."""

from __future__ import annotations

from dataclasses import dataclass, field

from core.settings import settings


@dataclass(frozen=True, slots=True, kw_only=True)
class WhisperConfig:
    """What is left out is as the settings have it."""

    #: By size, such as ``large-v3``, or a folder's name in ``MODEL_DIR``.
    model_name: str = field(default_factory=lambda: settings().whisperx_default_model)
    #: 0: the likeliest words, the same each time; above, words are drawn by lot.
    temperature: float = field(default_factory=lambda: settings().whisperx_temperature)
    #: Windows of 30 s that are heard at once; halved when memory runs out.
    batch_size: int = field(default_factory=lambda: settings().whisperx_batch_size)
    #: Tries after the first, when the reason may pass. Of `WhisperProcessor` alone: the service
    #: counts the tries of each chunk itself.
    max_retries: int = field(default_factory=lambda: settings().chunk_max_retries)
    #: ``auto``, ``cpu``, ``cuda``, or ``cuda:1`` for the second GPU.
    device: str = field(default_factory=lambda: settings().whisperx_device)
