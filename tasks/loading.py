"""The engines of this worker process: each is loaded when its first chunk arrives, and stays."""

from __future__ import annotations

from functools import lru_cache

import structlog

from engines import catalog
from engines.base import Diarizer, Recognizer

log = structlog.get_logger(__name__)


@lru_cache(maxsize=1)
def recognizer(name: str) -> Recognizer:
    """The speech engine of that name. Never call it before the pool has forked."""
    log.info("loading engine", engine=name)
    return catalog.load_recognizer(catalog.recognizer(name))


@lru_cache(maxsize=1)
def diarizer(name: str) -> Diarizer:
    """The diarizer of that name. Never call it before the pool has forked."""
    log.info("loading diarizer", diarizer=name)
    return catalog.load_diarizer(catalog.diarizer(name))
