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
_STAGING_NAME = ".pulling"
_DOWNLOADS = "wheels"


@contextmanager
def open_staging_folder(target: Path, *, wait: bool = False) -> Iterator[Path]:
    """The folder to put the model together in, which no other process uses; removed when done.

    Raises `EngineError` while another process works at the same model, unless it is to *wait*, and
    when nothing can be written.
    """
    model_dir = settings().model_dir
    if not target.resolve().is_relative_to(model_dir) or target == model_dir:
        raise InvalidInput(f"{target.name!r} is no name of a folder in MODEL_DIR")
    name = "--".join(target.relative_to(model_dir).parts)
    staging = model_dir / _STAGING_NAME / name
    with _translate_write_errors(model_dir):
        staging.parent.mkdir(parents=True, exist_ok=True)
        with (model_dir / _STAGING_NAME / f"{name}.lock").open("w") as lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
            except BlockingIOError:
                raise EngineError(f"another process is fetching {target} now") from None
            staging.mkdir(exist_ok=True)
            yield staging
            shutil.rmtree(staging)


@contextmanager
def open_downloads() -> Iterator[Path]:
    """The folder of downloaded archives, which several models may need; for one process at a time.

    Waits for other processes: they may fetch the very same archive.
    """
    staging = settings().model_dir / _STAGING_NAME
    folder = staging / _DOWNLOADS
    folder.mkdir(parents=True, exist_ok=True)
    with (staging / f"{_DOWNLOADS}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield folder


def remove_downloads() -> None:
    """Remove the archives, when every model that was asked for is whole."""
    if (settings().model_dir / _STAGING_NAME / _DOWNLOADS).exists():
        with open_downloads() as folder:
            shutil.rmtree(folder)


@contextmanager
def _translate_write_errors(model_dir: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EngineError(
            f"{model_dir} cannot be written to ({error.strerror or error}): make room, or set "
            "MODEL_DIR to a folder of yours"
        ) from error


def move_into_place(folder: Path, target: Path, staging: Path) -> None:
    """Put the model into its place; what was there is out of the way first, and back if need be."""
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
