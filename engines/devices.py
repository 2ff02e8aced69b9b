"""Where a model computes: on the GPU if there is one, unless an operator says otherwise."""

from __future__ import annotations

import torch

from core.errors import EngineError


def choose(wanted: str, setting: str) -> torch.device:
    """The device that a setting asks for: ``auto``, ``cpu``, ``cuda`` or ``cuda:1``.

    Raises `EngineError` that names the *setting* when there is no such GPU.
    """
    there = torch.cuda.device_count()
    if wanted == "auto":
        return torch.device("cuda:0" if there else "cpu")
    device = torch.device(wanted)
    if device.type == "cuda" and (device.index or 0) >= there:
        found = f"only {there} GPU(s)" if there else "no GPU"
        raise EngineError(
            f"{setting} is {wanted}, but PyTorch finds {found} here. Set it to auto or cpu, or "
            "install a driver and a PyTorch that fit the GPU."
        )
    return device


def ran_out_of_memory(error: Exception) -> bool:
    """Whether a library's error says that memory is too small; each says so in its own way."""
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    told = str(error).lower()
    return isinstance(error, RuntimeError) and ("out of memory" in told or "bad_alloc" in told)


def free(device: torch.device) -> None:
    """Give memory back that PyTorch keeps for later."""
    if device.type == "cuda":
        torch.cuda.empty_cache()
