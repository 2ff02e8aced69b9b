"""Takes files of a model from this machine: a folder that somebody names, or a cache."""

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
    """Copy the files that the folder holds, or one in it that has the model's name.

    Raises `WrongBytes` at a file that is not the makers'; where it lies, it stays as it is.
    """
    candidates = (folder, folder / short_name, folder / model.repository)
    for name in names:
        for source in (candidate / name for candidate in candidates):
            if source.is_file():
                _copy(model, name, source, target)
                break


def copy_from_caches(model: PinnedModel, names: Sequence[str], target: Path) -> None:
    """Copy what Hugging Face's caches hold of the model, in whatever revision."""
    for name in names:
        for snapshot in _find_snapshots(model.repository):
            if (snapshot / name).is_file() and not (target / name).exists():
                with suppress(WrongBytes):  # of another revision
                    _copy(model, name, snapshot / name, target)


def hub_cache() -> Path:
    """Where Hugging Face's libraries keep what they fetch."""
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
