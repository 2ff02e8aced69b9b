"""Download a pinned model for a worker that needs it and does not have it."""

from __future__ import annotations

from pathlib import Path

from core.errors import Transient, Unavailable
from engines.models.pull import pull
from engines.models.pull_options import PullOptions

#: Seconds until the hub is tried again.
_RETRY_SECONDS = 30


def fetch_for_worker(name: str) -> Path:
    """Return the model's folder, after downloading it from the hub and checking its hashes.

    The package index is not used. If several processes need the model at once, one downloads it.
    Raises `EngineError`, and `Transient` if the hub cannot be reached.
    """
    try:
        return pull(name, PullOptions(wheels=False, wait=True)).folder
    except Unavailable as error:
        raise Transient(str(error), retry_in=_RETRY_SECONDS) from error
