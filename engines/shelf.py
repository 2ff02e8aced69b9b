"""What models lie on this machine, without loading one: for the command line and for doctors."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from core.errors import EngineError
from core.settings import settings
from engines import manifest
from engines.manifest import Manifest
from engines.weights.local import hub_cache
from engines.weights.pinned import MODELS

#: Files of a Whisper model; without the last, one would be fetched from elsewhere.
WHISPER_FILES = ("model.bin", "config.json", "tokenizer.json")
PIPELINE_FILES = ("config.yaml",)


@dataclass(frozen=True, slots=True)
class OnShelf:
    """A model that a job may ask for."""

    engine: str
    name: str
    #: None when it is not here.
    folder: Path | None
    #: What is wrong with the folder; empty for a whole model.
    lacks: tuple[str, ...] = ()

    @property
    def manifest(self) -> Manifest | None:
        """What it was when it was pulled; None for one that came here by other ways."""
        return manifest.read(self.folder) if self.folder else None

    @property
    def is_whole(self) -> bool:
        return self.folder is not None and not self.lacks

    @property
    def size_mb(self) -> float:
        """Of all its files, those of Hugging Face's cache included."""
        files = self.folder.rglob("*") if self.folder else ()
        return sum(path.stat().st_size for path in files if path.is_file()) / 1e6


def whisper() -> list[OnShelf]:
    """The models of Whisper that a setting names."""
    now = settings()
    names = dict.fromkeys(
        [
            *(now.whisper_default_model, *now.whisper_available_models),
            *(now.whisperx_default_model, *now.whisperx_available_models),
        ]
    )
    return [find_whisper(name) for name in names]


def find_whisper(name: str) -> OnShelf:
    """A model of Whisper, be it here or not."""
    return _on_shelf("whisper", name, _whisper_folder(name), WHISPER_FILES)


def pipeline() -> OnShelf:
    """The pipeline that ``PYANNOTE_MODEL`` names."""
    name = settings().pyannote_model
    folder = pipeline_folder(name) or _cached(hub_cache(), name.replace("/", "--"))
    return _on_shelf("pyannote", name, folder, PIPELINE_FILES)


def pipeline_folder(name: str) -> Path | None:
    """The folder of a pipeline that was put there by hand, or pulled."""
    places = (Path(name), settings().model_dir / name)
    return next((place for place in places if place.is_dir()), None)


def pinned_weights(model: str) -> Path:
    """The one file of a pinned model. Raises `EngineError` when it is not here and whole."""
    folder = settings().model_dir / model
    if misfits := MODELS[model].misfits(folder):
        raise EngineError(
            f"the model {model} is not whole in {folder} ({', '.join(misfits)}): "
            f"transcribe models pull {model}"
        )
    [name] = MODELS[model].files
    return folder / name


def pinned() -> list[OnShelf]:
    """Models whose bytes are known beforehand and that no setting names."""
    named = {one.name for one in whisper()}
    return [
        _on_shelf(
            "-", name, folder if (folder := settings().model_dir / name).is_dir() else None, ()
        )
        for name in MODELS
        if name not in named
    ]


def others() -> list[OnShelf]:
    """What was pulled and is named by no setting; jobs may not ask for it."""
    ours = settings().model_dir
    found = sorted(path.parent for path in ours.rglob(manifest.NAME))
    known = {one.folder for one in (*whisper(), pipeline(), *pinned())}
    return [
        OnShelf("-", folder.relative_to(ours).as_posix(), folder)
        for folder in found
        if folder not in known and not folder.relative_to(ours).parts[0].startswith(".")
    ]


def damaged(model: OnShelf) -> list[str]:
    """The files of a pulled model that are no longer what they were. Reads every byte."""
    pulled = model.manifest
    if pulled is None or model.folder is None:
        return []
    expected = dict(pulled.files)
    known = MODELS.get(model.name)
    if known and known.is_source_of(pulled):
        expected |= known.manifest().files  # whatever is written beside the files
    whole = Manifest(pulled.repository, pulled.commit, expected)
    return manifest.differing(model.folder, whole)


def lacking(folder: Path, files: tuple[str, ...]) -> tuple[str, ...]:
    """The files that are not there, or empty, or JSON that cannot be read."""
    return tuple(name for name in files if not _is_whole(folder / name))


def _is_whole(path: Path) -> bool:
    try:
        found = path.stat()
    except OSError:
        return False
    is_json = path.suffix == ".json"
    return found.st_size > 0 and (not is_json or _is_json(path, found.st_mtime_ns, found.st_size))


@lru_cache(maxsize=256)
def _is_json(path: Path, _changed_at: int, _size: int) -> bool:
    """Read once for each state of the file: workers look every few seconds, at megabytes."""
    try:
        json.loads(path.read_text())
    except (OSError, ValueError):
        return False
    return True


def _on_shelf(engine: str, name: str, folder: Path | None, files: tuple[str, ...]) -> OnShelf:
    return OnShelf(engine, name, folder, lacking(folder, files) if folder else ())


def _whisper_folder(name: str) -> Path | None:
    ours = settings().model_dir
    if (ours / name).is_dir():
        return ours / name
    short = name.rpartition("/")[2].removeprefix("faster-whisper-")
    places = (_cached(cache, f"*faster-whisper-{short}") for cache in (ours, hub_cache()))
    return next((place for place in places if place), None)


def _cached(cache: Path, name: str) -> Path | None:
    """The snapshot of a repository in a cache of Hugging Face's making."""
    return next(iter(sorted(cache.glob(f"models--{name}/snapshots/*/"))), None)
