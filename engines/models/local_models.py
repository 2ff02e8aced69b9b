"""List the models on this machine without loading them, for the command line and its checks."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import EngineError
from core.settings import settings
from engines.models import model_manifest
from engines.models.local_sources import hub_cache
from engines.models.model_manifest import ModelManifest
from engines.models.pinned_models import MODELS

#: Files of a Whisper model; without the last one, the library would download another.
WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")
PIPELINE_FILES = ("config.yaml",)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that a job may request."""

    engine: str
    name: str
    #: None if it is not on this machine.
    folder: Path | None
    #: Missing or unreadable files of the folder; empty for a complete model.
    missing_files: tuple[str, ...] = ()

    @property
    def manifest(self) -> ModelManifest | None:
        """Return what was pulled; None for a model that was not pulled."""
        return model_manifest.read(self.folder) if self.folder else None

    @property
    def is_whole(self) -> bool:
        return self.folder is not None and not self.missing_files

    @property
    def size_mb(self) -> float:
        """Return the size of all its files in MB, including links into Hugging Face's cache."""
        files = self.folder.rglob("*") if self.folder else ()
        return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def list_whisper_models() -> list[LocalModel]:
    """Return the Whisper models that a setting names."""
    config = settings()
    names = dict.fromkeys(
        [
            *(config.whisper_default_model, *config.whisper_available_models),
            *(config.whisperx_default_model, *config.whisperx_available_models),
        ]
    )
    return [find_whisper_model(name) for name in names]


def find_whisper_model(name: str) -> LocalModel:
    """Return a Whisper model, whether it is here or not."""
    return _describe_model("whisper", name, _find_whisper_folder(name), WHISPER_FILES)


def find_pipeline() -> LocalModel:
    """Return the pipeline that ``PYANNOTE_MODEL`` names."""
    name = settings().pyannote_model
    folder = find_pipeline_folder(name) or _find_cached_snapshot(
        hub_cache(), name.replace("/", "--")
    )
    return _describe_model("pyannote", name, folder, PIPELINE_FILES)


def find_pipeline_folder(name: str) -> Path | None:
    """Return the folder of a pipeline that was pulled or placed there by hand."""
    candidates = (Path(name), settings().model_dir / name)
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def find_pinned_weights(model: str) -> Path:
    """Return the only file of a pinned model; raise `EngineError` if missing or incomplete."""
    folder = settings().model_dir / model
    if mismatches := MODELS[model].find_size_mismatches(folder):
        raise EngineError(
            f"the model {model} in {folder} is incomplete ({', '.join(mismatches)}): "
            f"transcribe models pull {model}"
        )
    [name] = MODELS[model].files
    return folder / name


def list_pinned_models() -> list[LocalModel]:
    """Return the pinned models that no setting names."""
    configured = {model.name for model in list_whisper_models()}
    return [
        _describe_model(
            "-", name, folder if (folder := settings().model_dir / name).is_dir() else None, ()
        )
        for name in MODELS
        if name not in configured
    ]


def list_other_models() -> list[LocalModel]:
    """Return the pulled models that no setting names; jobs cannot request them."""
    model_dir = settings().model_dir
    folders = sorted(path.parent for path in model_dir.rglob(model_manifest.FILE_NAME))
    listed = {
        model.folder for model in (*list_whisper_models(), find_pipeline(), *list_pinned_models())
    }
    return [
        LocalModel("-", folder.relative_to(model_dir).as_posix(), folder)
        for folder in folders
        if folder not in listed and not folder.relative_to(model_dir).parts[0].startswith(".")
    ]


def find_damaged_files(model: LocalModel) -> list[str]:
    """Return the files of a pulled model that have changed since. Reads every byte."""
    manifest = model.manifest
    if manifest is None or model.folder is None:
        return []
    expected = dict(manifest.files)
    pinned_model = MODELS.get(model.name)
    if pinned_model and pinned_model.is_source_of(manifest):
        expected |= pinned_model.build_manifest().files  # takes precedence over the stored manifest
    complete = ModelManifest(manifest.repository, manifest.commit, expected)
    return model_manifest.find_changed_files(model.folder, complete)


def find_missing_files(folder: Path, files: tuple[str, ...]) -> tuple[str, ...]:
    """Return the files that are missing, empty, or unreadable JSON."""
    return tuple(name for name in files if not _is_whole(folder / name))


def _is_whole(path: Path) -> bool:
    try:
        stat = path.stat()
    except OSError:
        return False
    has_json_suffix = path.suffix == ".json"
    return stat.st_size > 0 and (
        not has_json_suffix or _is_valid_json(path, stat.st_mtime_ns, stat.st_size)
    )


@lru_cache(maxsize=256)
def _is_valid_json(path: Path, _changed_at: int, _size: int) -> bool:
    """Return whether the file is JSON; cached per state of the file, as workers check often."""
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def _describe_model(
    engine: str, name: str, folder: Path | None, files: tuple[str, ...]
) -> LocalModel:
    return LocalModel(engine, name, folder, find_missing_files(folder, files) if folder else ())


def _find_whisper_folder(name: str) -> Path | None:
    model_dir = settings().model_dir
    if (model_dir / name).is_dir():
        return model_dir / name
    short = name.rpartition("/")[2].removeprefix("faster-whisper-")
    candidates = (
        _find_cached_snapshot(cache, f"*faster-whisper-{short}")
        for cache in (model_dir, hub_cache())
    )
    return next((candidate for candidate in candidates if candidate), None)


def _find_cached_snapshot(cache: Path, name: str) -> Path | None:
    """Return the snapshot of a repository in a Hugging Face cache, or None."""
    return next(iter(sorted(cache.glob(f"models--{name}/snapshots/*/"))), None)
