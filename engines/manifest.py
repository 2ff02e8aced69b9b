"""What a pulled model is made of: ``transcribe-model.json`` beside its files says it."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

NAME = "transcribe-model.json"


@dataclass(frozen=True, slots=True)
class File:
    """What a file must be."""

    #: Bytes.
    size: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Manifest:
    """Where a model is from, and each of its files by its path in the folder."""

    repository: str
    commit: str
    files: Mapping[str, File]


def describe(folder: Path, repository: str, commit: str) -> Manifest:
    """The manifest of a folder as it is now."""
    paths = sorted(path for path in folder.rglob("*") if path.is_file() and path.name != NAME)
    files = {path.relative_to(folder).as_posix(): describe_file(path) for path in paths}
    return Manifest(repository, commit, files)


def write(folder: Path, manifest: Manifest) -> None:
    text = json.dumps(asdict(manifest), indent=1, sort_keys=True)
    (folder / NAME).write_text(text + "\n")


def read(folder: Path) -> Manifest | None:
    """None where there is none that can be read."""
    try:
        told = json.loads((folder / NAME).read_text())
        files = {str(name): File(**about) for name, about in told["files"].items()}
        return Manifest(str(told["repository"]), str(told["commit"]), files)
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None


def differing(folder: Path, manifest: Manifest) -> list[str]:
    """The files that are not what the manifest says, or not there. Reads every byte."""
    return [name for name, file in manifest.files.items() if not _is(folder / name, file)]


def _is(path: Path, file: File) -> bool:
    try:
        # The size is looked at first: it is free.
        return path.stat().st_size == file.size and describe_file(path) == file
    except OSError:
        return False


def describe_file(path: Path) -> File:
    """Its size and its hash. Reads every byte."""
    with path.open("rb") as file:
        return File(path.stat().st_size, hashlib.file_digest(file, "sha256").hexdigest())
