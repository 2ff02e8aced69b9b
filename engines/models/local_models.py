"""What models lie on this machine, without loading one: for the command line and for doctors."""

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

#: Files of a Whisper model; without the last, one would be fetched from elsewhere.
WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")
PIPELINE_FILES = ("config.yaml",)


@dataclass(frozen=True, slots=True)
class LocalModel:
    """A model that a job may ask for."""

    engine: str
    name: str
    #: None when it is not here.
    folder: Path | None
    #: What is wrong with the folder; empty for a whole model.
    missing_files: tuple[str, ...] = ()

    @property
    def manifest(self) -> ModelManifest | None:
        """What it was when it was pulled; None for one that came here by other ways."""
        return model_manifest.read(self.folder) if self.folder else None

    @property
    def is_whole(self) -> bool:
        return self.folder is not None and not self.missing_files

    @property
    def size_mb(self) -> float:
        """Of all its files, those of Hugging Face's cache included."""
        files = self.folder.rglob("*") if self.folder else ()
        return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def list_whisper_models() -> list[LocalModel]:
    """The models of Whisper that a setting names."""
    config = settings()
    names = dict.fromkeys(
        [
            *(config.whisper_default_model, *config.whisper_available_models),
            *(config.whisperx_default_model, *config.whisperx_available_models),
        ]
    )
    return [find_whisper_model(name) for name in names]


def find_whisper_model(name: str) -> LocalModel:
    """A model of Whisper, be it here or not."""
    return _describe_model("whisper", name, _find_whisper_folder(name), WHISPER_FILES)


def find_pipeline() -> LocalModel:
    """The pipeline that ``PYANNOTE_MODEL`` names."""
    name = settings().pyannote_model
    folder = find_pipeline_folder(name) or _find_cached_snapshot(
        hub_cache(), name.replace("/", "--")
    )
    return _describe_model("pyannote", name, folder, PIPELINE_FILES)


def find_pipeline_folder(name: str) -> Path | None:
    """The folder of a pipeline that was put there by hand, or pulled."""
    candidates = (Path(name), settings().model_dir / name)
    return next((candidate for candidate in candidates if candidate.is_dir()), None)


def find_pinned_weights(model: str) -> Path:
    """The one file of a pinned model. Raises `EngineError` when it is not here and whole."""
    folder = settings().model_dir / model
    if mismatches := MODELS[model].find_size_mismatches(folder):
        raise EngineError(
            f"the model {model} is not whole in {folder} ({', '.join(mismatches)}): "
            f"transcribe models pull {model}"
        )
    [name] = MODELS[model].files
    return folder / name


def list_pinned_models() -> list[LocalModel]:
    """Models whose bytes are known beforehand and that no setting names."""
    configured = {model.name for model in list_whisper_models()}
    return [
        _describe_model(
            "-", name, folder if (folder := settings().model_dir / name).is_dir() else None, ()
        )
        for name in MODELS
        if name not in configured
    ]


def list_other_models() -> list[LocalModel]:
    """What was pulled and is named by no setting; jobs may not ask for it."""
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
    """The files of a pulled model that are no longer what they were. Reads every byte."""
    manifest = model.manifest
    if manifest is None or model.folder is None:
        return []
    expected = dict(manifest.files)
    pinned_model = MODELS.get(model.name)
    if pinned_model and pinned_model.is_source_of(manifest):
        expected |= pinned_model.build_manifest().files  # whatever is written beside the files
    complete = ModelManifest(manifest.repository, manifest.commit, expected)
    return model_manifest.find_changed_files(model.folder, complete)


def find_missing_files(folder: Path, files: tuple[str, ...]) -> tuple[str, ...]:
    """The files that are not there, or empty, or JSON that cannot be read."""
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
    """Read once for each state of the file: workers look every few seconds, at megabytes."""
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
    """The snapshot of a repository in a cache of Hugging Face's making."""
    return next(iter(sorted(cache.glob(f"models--{name}/snapshots/*/"))), None)
