"""What a pulled model is made of: ``transcribe-model.json`` beside its files says it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "transcribe-model.json"


@dataclass(frozen=True, slots=True)
class FileDigest:
    """What a file must be."""

    #: Bytes.
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """Where a model is from, and each of its files by its path in the folder."""

    repository: str
    commit: str
    files: Mapping[str, FileDigest]


def describe(folder: Path, repository: str, commit: str) -> ModelManifest:
    """The manifest of a folder as it is now."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME)
    files = {path.relative_to(folder).as_posix(): digest_file(path) for path in paths}
    return ModelManifest(repository, commit, files)


def write(folder: Path, manifest: ModelManifest) -> None:
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True)
    (folder / FILE_NAME).write_text(text + "\n")


def read(folder: Path) -> ModelManifest | None:
    """None where there is none that can be read."""
    try:
        payload = json.loads((folder / FILE_NAME).read_text())
        files = {str(name): FileDigest(**digest) for name, digest in payload["files"].items()}
        return ModelManifest(str(payload["repository"]), str(payload["commit"]), files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def find_changed_files(folder: Path, manifest: ModelManifest) -> list[str]:
    """The files that are not what the manifest says, or not there. Reads every byte."""
    return [name for name, file in manifest.files.items() if not _is_unchanged(folder / name, file)]


def _is_unchanged(path: Path, file: FileDigest) -> bool:
    try:
        # The size is looked at first: it is free.
        return path.stat().st_size == file.size and digest_file(path) == file
    except OSError:
        return False


def digest_file(path: Path) -> FileDigest:
    """Its size and its hash. Reads every byte."""
    with path.open("rb") as file:
        return FileDigest(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
