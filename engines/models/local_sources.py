"""Copy files of a model from this machine: from a given folder or a cache."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from core.settings import settings
from engines.models.pinned_models import PinnedModel
from engines.models.verification import WrongBytes, verify_file


def copy_from_folder(
    model: PinnedModel, names: Sequence[str], target: Path, folder: Path, short_name: str
) -> None:
    """Copy the files that the folder, or a folder in it named after the model, contains.

    Raises `WrongBytes` if a file differs from the pinned one; the source file is not changed.
    """
    candidates = (folder, folder / short_name, folder / model.repository)
    for name in names:
        for source in (candidate / name for candidate in candidates):
            if source.is_file():
                _copy(model, name, source, target)
                break


def copy_from_caches(model: PinnedModel, names: Sequence[str], target: Path) -> None:
    """Copy the model's files from Hugging Face's caches, from any revision that matches."""
    for name in names:
        for snapshot in _find_snapshots(model.repository):
            if (snapshot / name).is_file() and not (target / name).exists():
                with suppress(WrongBytes):  # from another revision
                    _copy(model, name, snapshot / name, target)


def hub_cache() -> Path:
    """Return the folder in which Hugging Face's libraries store downloads."""
    home = os.environ.get("HF_HOME") or Path.home() / ".cache" / "huggingface"
    return Path(os.environ.get("HF_HUB_CACHE") or Path(home) / "hub")


def _find_snapshots(repository: str) -> Iterator[Path]:
    name = f"models--{repository.replace('/', '--')}"
    for cache in (settings().model_dir, hub_cache()):
        yield from sorted(cache.glob(f"{name}/snapshots/*/"))


def _copy(model: PinnedModel, name: str, source: Path, target: Path) -> None:
    target.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(source, target / name)
    if expected := model.files[name]:
        verify_file(target / name, expected, str(source))
