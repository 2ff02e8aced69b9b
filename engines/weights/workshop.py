"""Where a model is put together: a folder beside its place, from which it moves when it is whole.

What an interruption leaves there is gone on with.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import EngineError, InvalidInput
from core.settings import settings

#: Below the folder of models.
_NAME = ".pulling"
_DOWNLOADS = "wheels"


@contextmanager
def open_workshop(target: Path, *, wait: bool = False) -> Iterator[Path]:
    """The folder to put the model together in, which no other process uses; removed when done.

    Raises `EngineError` while another process works at the same model, unless it is to *wait*, and
    when nothing can be written.
    """
    ours = settings().model_dir
    if not target.resolve().is_relative_to(ours) or target == ours:
        raise InvalidInput(f"{target.name!r} is no name of a folder in MODEL_DIR")
    name = "--".join(target.relative_to(ours).parts)
    workshop = ours / _NAME / name
    with _writing_to(ours):
        workshop.parent.mkdir(parents=True, exist_ok=True)
        with (ours / _NAME / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise EngineError(f"another process is fetching {target} now") from None
            workshop.mkdir(exist_ok=True)
            yield workshop
            shutil.rmtree(workshop)


@contextmanager
def open_downloads() -> Iterator[Path]:
    """The folder of downloaded archives, which several models may need; for one process at a time.

    Waits for other processes: they may fetch the very same archive.
    """
    place = settings().model_dir / _NAME
    folder = place / _DOWNLOADS
    folder.mkdir(parents=True, exist_ok=True)
    with (place / f"{_DOWNLOADS}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def remove_downloads() -> None:
    """Remove the archives, when every model that was asked for is whole."""
    if (settings().model_dir / _NAME / _DOWNLOADS).exists():
        with open_downloads() as folder:
            shutil.rmtree(folder)


@contextmanager
def _writing_to(ours: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"{ours} cannot be written to ({error.strerror or error}): make room, or set MODEL_DIR "
            "to a folder of yours"
        ) from error


def move(folder: Path, target: Path, workshop: Path) -> None:
    """Put the model into its place; what was there is out of the way first, and back if need be."""
    before = workshop / "before"
    shutil.rmtree(before, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        target.rename(before)
    try:
        folder.rename(target)
    except OSError:
        with suppress(FileNotFoundError):
            before.rename(target)
        raise
