"""The loaded engines of this worker process: each is loaded for its first chunk, and then kept.

A memory lease is needed first: see `core.memory.leases`.
"""

from __future__ import annotations

import gc
from functools import lru_cache
from typing import cast

import structlog

from core.memory.leases import OutOfMemoryBudget, ResourceManager
from engines import catalog
from engines.base import Diarizer, Recognizer
from engines.spec import DiarizerSpec, EngineSpec

log = structlog.get_logger(__name__)

#: One speech engine and one diarizer, by kind: name and engine.
_loaded: dict[str, tuple[str, object]] = {}


def load_recognizer(name: str, model: str | None = None) -> Recognizer:
    """Return the speech engine of that name. Never call it before the pool has forked.

    *model*: the model that it will use. Raises `OutOfMemoryBudget` if the model does not fit into
    the memory now, and `EngineError` if it never does.
    """
    spec = catalog.recognizer(name)
    return cast("Recognizer", _load(spec, model or catalog.default_model(spec)))


def load_diarizer(name: str) -> Diarizer:
    """Return the diarizer of that name. Never call it before the pool has forked.

    Raises the same errors as `load_recognizer`.
    """
    return cast("Diarizer", _load(catalog.diarizer(name)))


@lru_cache(maxsize=1)
def leases() -> ResourceManager:
    """Return the leases of this process. Never call it before the pool has forked."""
    return ResourceManager()


def _load(spec: EngineSpec | DiarizerSpec, model: str | None = None) -> object:
    description = f"{spec.name} {model}" if model else spec.name
    try:
        leases().hold(spec.kind, description, catalog.memory_mb(spec, model))
    except OutOfMemoryBudget:
        if leases().is_leaving:
            _unload_engines()
        raise
    name, engine = _loaded.get(spec.kind, ("", None))
    if name != spec.name:
        # Two engines may not fit into memory together.
        _loaded.pop(spec.kind, None)
        log.info("loading engine", kind=spec.kind, engine=spec.name)
        try:
            engine = catalog.load(spec)
        except BaseException:
            leases().free(spec.kind)
            raise
        _loaded[spec.kind] = spec.name, engine
    return engine


def _unload_engines() -> None:
    """Release models for others. Only the end of the process frees all of its memory."""
    kinds = tuple(_loaded)
    _loaded.clear()
    gc.collect()
    for kind in kinds:
        leases().free(kind)
