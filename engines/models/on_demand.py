"""Fetches a pinned model for a worker that needs it now and does not find it here."""

from __future__ import annotations

from pathlib import Path

from core.errors import Transient, Unavailable
from engines.models.pull import pull
from engines.models.pull_options import PullOptions

#: Seconds until it is worth while to ask the hub again.
_RETRY_SECONDS = 30


def fetch_for_worker(name: str) -> Path:
    """The folder of the model, fetched from the hub and compared with the pinned hashes.

    The package index is not asked. Several processes may need the model at once: one fetches it.
    Raises `EngineError`, and `Transient` when the hub is not reached.
    """
    try:
        return pull(name, PullOptions(wheels=False, wait=True)).folder
    except Unavailable as error:
        raise Transient(str(error), retry_in=_RETRY_SECONDS) from error
