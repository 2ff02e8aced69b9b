"""Staging folder of a model, beside its final place; a complete model is moved from it.

Interrupted pulls are resumed from it.
"""

from __future__ import annotations

import fcntl
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from core.errors import EngineError, InvalidInput
from core.settings import settings

#: In the folder of models.
_STAGING_NAME = ".pulling"
_DOWNLOADS = "wheels"


@contextmanager
def open_staging_folder(target: Path, *, wait: bool = False) -> Iterator[Path]:
    """Yield a folder to assemble the model in, locked for this process; removed when done.

    Raises `EngineError` if another process works on the same model and *wait* is false, and if the
    folder cannot be written.
    """
    model_dir = settings().model_dir
    if not target.resolve().is_relative_to(model_dir) or target == model_dir:
        raise InvalidInput(f"{target.name!r} is not a valid name of a folder in MODEL_DIR")
    name = "--".join(target.relative_to(model_dir).parts)
    staging = model_dir / _STAGING_NAME / name
    with _translate_write_errors(model_dir):
        staging.parent.mkdir(parents=True, exist_ok=True)
        with (model_dir / _STAGING_NAME / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise EngineError(f"another process is downloading {target}") from None
            staging.mkdir(exist_ok=True)
            yield staging
            shutil.rmtree(staging)


@contextmanager
def open_downloads() -> Iterator[Path]:
    """Yield the folder of downloaded archives, which models share, locked for this process.

    Waits for other processes, since they may be downloading the same archive.
    """
    staging = settings().model_dir / _STAGING_NAME
    folder = staging / _DOWNLOADS
    folder.mkdir(parents=True, exist_ok=True)
    with (staging / f"{_DOWNLOADS}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def remove_downloads() -> None:
    """Remove the archives, once all requested models are complete."""
    if (settings().model_dir / _STAGING_NAME / _DOWNLOADS).exists():
        with open_downloads() as folder:
            shutil.rmtree(folder)


@contextmanager
def _translate_write_errors(model_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"{model_dir} cannot be written to ({error.strerror or error}): free disk space, or "
            "set MODEL_DIR to a writable folder"
        ) from error


def move_into_place(folder: Path, target: Path, staging: Path) -> None:
    """Move the model into place; the old one is kept aside and restored if the move fails."""
    backup = staging / "before"
    shutil.rmtree(backup, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        target.rename(backup)
    try:
        folder.rename(target)
    except OSError:
        with suppress(FileNotFoundError):
            backup.rename(target)
        raise
