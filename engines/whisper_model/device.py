"""Device of a CTranslate2 model: a GPU if there is one, unless a setting names another."""

from __future__ import annotations

from dataclasses import dataclass

import ctranslate2

from core.errors import EngineError


@dataclass(frozen=True, slots=True)
class Device:
    """The CPU (``cpu``) or one of the GPUs (``cuda``)."""

    type: str
    index: int = 0

    def __str__(self) -> str:
        return self.type if self.type == "cpu" else f"{self.type}:{self.index}"


def choose_device(value: str, setting: str) -> Device:
    """Return the device of a setting: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises `EngineError` that names the *setting* if there is no such GPU.
    """
    gpus = ctranslate2.get_cuda_device_count()
    if value == "auto":
        return Device("cuda" if gpus else "cpu")
    kind, _, number = value.partition(":")
    device = Device(kind, int(number or 0))
    if device.type == "cuda" and device.index >= gpus:
        available = f"only {gpus} GPU(s)" if gpus else "no GPU"
        raise EngineError(
            f"{setting} is {value}, but this machine has {available}. Set it to auto or cpu, or "
            "install a driver and CUDA libraries that match the GPU."
        )
    return device


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a library's error means lack of memory; libraries report it differently."""
    text = str(error).lower()
    return isinstance(error, MemoryError) or (
        isinstance(error, RuntimeError) and ("out of memory" in text or "bad_alloc" in text)
    )
