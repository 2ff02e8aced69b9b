"""The manifest of a pulled model: ``transcribe-model.json`` beside its files."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

FILE_NAME = "transcribe-model.json"


@dataclass(frozen=True, slots=True)
class FileDigest:
    """Expected size and hash of a file."""

    #: Bytes.
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class ModelManifest:
    """The origin of a model, and the digest of each file by its path in the folder."""

    repository: str
    commit: str
    files: Mapping[str, FileDigest]


def describe(folder: Path, repository: str, commit: str) -> ModelManifest:
    """Return the manifest of a folder in its current state."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != FILE_NAME)
    files = {path.relative_to(folder).as_posix(): digest_file(path) for path in paths}
    return ModelManifest(repository, commit, files)


def write(folder: Path, manifest: ModelManifest) -> None:
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True)
    (folder / FILE_NAME).write_text(text + "\n")


def read(folder: Path) -> ModelManifest | None:
    """Return the manifest, or None if there is no readable one."""
    try:
        payload = json.loads((folder / FILE_NAME).read_text())
        files = {str(name): FileDigest(**digest) for name, digest in payload["files"].items()}
        return ModelManifest(str(payload["repository"]), str(payload["commit"]), files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def find_changed_files(folder: Path, manifest: ModelManifest) -> list[str]:
    """Return the files that are missing or differ from the manifest. Reads every byte."""
    return [name for name, file in manifest.files.items() if not _is_unchanged(folder / name, file)]


def _is_unchanged(path: Path, file: FileDigest) -> bool:
    try:
        # Compare the size first, which costs nothing.
        return path.stat().st_size == file.size and digest_file(path) == file
    except OSError:
        return False


def digest_file(path: Path) -> FileDigest:
    """Return the size and hash of a file. Reads every byte."""
    with path.open("rb") as file:
        return FileDigest(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
