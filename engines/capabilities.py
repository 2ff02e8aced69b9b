"""Check whether engines that need a model can work on this machine; loads no engine library."""

from __future__ import annotations

import os
import time
from functools import lru_cache
from pathlib import Path

import httpx2

from core.errors import EngineError
from core.settings import settings
from engines.base import ServerCapabilities
from engines.models import local_models
from engines.models.pinned_models import MODELS

#: The pinned models of the diarizer `neural`: for turns and for voices.
NEURAL_MODELS = ("segmentation-3.0", "campplus-zh-en")
#: Seconds to wait for the hub, which is only checked for reachability.
_HUB_TIMEOUT_SECONDS = 3.0
#: Seconds for which that result is cached.
_CACHE_SECONDS = 60


def whisper() -> ServerCapabilities:
    """Raise `EngineError` if the default model is not here and cannot be downloaded."""
    _require_model(settings().whisper_default_model)
    return ServerCapabilities(models_here=_find_whole_models())


def whisperx() -> ServerCapabilities:
    """Check as `whisper`; without a GPU, only jobs that name it use it."""
    _require_model(settings().whisperx_default_model)
    is_fast = has_gpu() and settings().whisperx_device != "cpu"
    return ServerCapabilities(by_default=is_fast, models_here=_find_whole_models())


def neural() -> ServerCapabilities:
    """Raise `EngineError` if one of its two models is not here."""
    for name in NEURAL_MODELS:
        if MODELS[name].find_size_mismatches(settings().model_dir / name):
            raise EngineError(
                f"the model {name} is not on this machine: transcribe models pull "
                f"{' '.join(NEURAL_MODELS)}"
            )
    return ServerCapabilities()


def pyannote() -> ServerCapabilities:
    """Raise `EngineError` if the pipeline is not here and cannot be downloaded."""
    model = local_models.find_pipeline()
    if model.is_whole or (settings().hf_token and _is_hub_reachable()):
        return ServerCapabilities()
    raise EngineError(
        f"the pipeline {model.name} is not on this machine: set HF_TOKEN, or set PYANNOTE_MODEL to "
        "a folder that contains one"
    )


def has_gpu() -> bool:
    """Return whether the NVIDIA driver shows a device on this machine."""
    return any(Path("/dev").glob("nvidia[0-9]*"))


def _find_whole_models() -> tuple[str, ...]:
    return tuple(model.name for model in local_models.list_whisper_models() if model.is_whole)


def _require_model(name: str) -> None:
    model = local_models.find_whisper_model(name)
    if model.missing_files:
        missing_files = ", ".join(model.missing_files)
        raise EngineError(f"the model {name} in {model.folder} has no {missing_files}")
    if model.folder is None and not _is_hub_reachable():
        raise EngineError(
            f"the model {name} is not on this machine, and the hub cannot be reached: "
            f"transcribe models pull {name}"
        )


def _is_hub_reachable() -> bool:
    if os.environ.get("HF_HUB_OFFLINE", "0").upper() in {"1", "ON", "YES", "TRUE"}:
        return False
    hub = os.environ.get("HF_ENDPOINT") or "https://huggingface.co"
    return _ask_hub(hub, int(time.monotonic() / _CACHE_SECONDS))


@lru_cache(maxsize=1)
def _ask_hub(hub: str, _period: int) -> bool:
    """Return whether the hub answers; cached per period, since workers check every few seconds."""
    try:
        httpx2.head(hub, timeout=_HUB_TIMEOUT_SECONDS)
    except (httpx2.HTTPError, httpx2.InvalidURL):
        return False
    return True
