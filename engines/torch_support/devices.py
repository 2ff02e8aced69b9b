"""Device of a PyTorch model: the GPU if there is one, unless a setting names another."""

from __future__ import annotations

import torch

from core.errors import EngineError


def choose_device(value: str, setting: str) -> torch.device:
    """Return the device of a setting: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises `EngineError` that names the *setting* if there is no such GPU.
    """
    gpu_count = torch.cuda.device_count()
    if value == "auto":
        return torch.device("cuda:0" if gpu_count else "cpu")
    device = torch.device(value)
    if device.type == "cuda" and (device.index or 0) >= gpu_count:
        available = f"only {gpu_count} GPU(s)" if gpu_count else "no GPU"
        raise EngineError(
            f"{setting} is {value}, but PyTorch finds {available} on this machine. Set it to auto "
            "or cpu, or install a driver and a PyTorch that match the GPU."
        )
    return device


def is_out_of_memory(error: Exception) -> bool:
    """Return whether a library's error means lack of memory; libraries report it differently."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    message = str(error).lower()
    return isinstance(error, RuntimeError) and (
        "out of memory" in message or "bad_alloc" in message
    )


def free_cache(device: torch.device) -> None:
    """Free memory that PyTorch keeps cached."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
