"""Where CTranslate2 computes: on a GPU if there is one, unless an operator says otherwise."""

from __future__ import annotations

from dataclasses import dataclass

import ctranslate2

from core.errors import EngineError


@dataclass(frozen=True, slots=True)
class Device:
    """A processor (``cpu``) or one of the GPUs (``cuda``)."""

    type: str
    index: int = 0

    def __str__(self) -> str:
        return self.type if self.type == "cpu" else f"{self.type}:{self.index}"


def choose_device(value: str, setting: str) -> Device:
    """The device that a setting asks for: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises `EngineError` that names the *setting* when there is no such GPU.
    """
    gpus = ctranslate2.get_cuda_device_count()
    if value == "auto":
        return Device("cuda" if gpus else "cpu")
    kind, _, number = value.partition(":")
    device = Device(kind, int(number or 0))
    if device.type == "cuda" and device.index >= gpus:
        available = f"only {gpus} GPU(s)" if gpus else "no GPU"
        raise EngineError(
            f"{setting} is {value}, but there is {available} here. Set it to auto or cpu, or "
            "install a driver and CUDA libraries that fit the GPU."
        )
    return device


def is_out_of_memory(error: Exception) -> bool:
    """Whether a library's error says that memory is too small; each says so in its own way."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "bad_alloc" in text)
    )
