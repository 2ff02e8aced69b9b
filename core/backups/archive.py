"""The backup archive: a plain tar of regular files, with their SHA-256 in the manifest."""

from __future__ import annotations

import hashlib
import io
import os
import tarfile
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from core import clock, versions
from core.backups import archive_manifest as manifests
from core.backups import member_names
from core.backups.archive_manifest import Manifest
from core.backups.backup_error import BackupError
from core.backups.snapshot import Snapshot
from core.filesystem import private_files

BLOCK_BYTES = 1024 * 1024
#: Bytes of the largest manifest, which lists some millions of files.
MAX_MANIFEST_BYTES = 1024**3


def write_archive(snapshot: Snapshot, target: Path) -> Manifest:
    """Write a new archive, private to this account; it appears complete or not at all.

    Raises `BackupError`, also if *target* exists.
    """
    if target.exists():
        raise _name_conflict(target)
    unfinished = target.with_name(f".{target.name}.{uuid.uuid4().hex}.unfinished")
    try:
        with private_files.open_file(unfinished, "xb") as file:
            manifest = _write_members(snapshot, file)
            file.flush()
            os.fsync(file.fileno())
        _move_into_place(unfinished, target)
    except OSError as error:
        raise BackupError(f"{target} cannot be written: {error.strerror or error}") from error
    finally:
        unfinished.unlink(missing_ok=True)
    return manifest


def _move_into_place(unfinished: Path, target: Path) -> None:
    try:
        # Reserve the name first: a file created meanwhile is not replaced.
        with private_files.open_file(target, "xb"):
            pass
    except FileExistsError:
        raise _name_conflict(target) from None
    unfinished.replace(target)


def _name_conflict(target: Path) -> BackupError:
    return BackupError(f"{target} exists; a backup never replaces a file: choose another name")


def _write_members(snapshot: Snapshot, file: IO[bytes]) -> Manifest:
    # In this format our names and sizes fit into plain headers, so readers need no extensions.
    with tarfile.open(fileobj=file, mode="w", format=tarfile.GNU_FORMAT) as tar:
        manifest = Manifest(
            format=manifests.FORMAT,
            version=versions.service_version(),
            revision=snapshot.revision,
            created_at=clock.utc_now(),
            jobs=snapshot.jobs,
            unfinished_jobs=snapshot.unfinished_jobs,
            files={name: _add_file(tar, name, path) for name, path in snapshot.files()},
        )
        content = manifest.encode()
        tar.addfile(_header(manifests.NAME, len(content), int(clock.now())), io.BytesIO(content))
    return manifest


def _add_file(tar: tarfile.TarFile, name: str, path: Path) -> str:
    """Add a file; return its SHA-256."""
    with path.open("rb") as file:
        file_stat = os.fstat(file.fileno())
        content = _HashingReader(file)
        tar.addfile(_header(name, file_stat.st_size, int(file_stat.st_mtime)), content)
    return content.sha256.hexdigest()


def _header(name: str, size: int, modified: int) -> tarfile.TarInfo:
    header = tarfile.TarInfo(name)
    header.size, header.mtime, header.mode = size, modified, private_files.FILE_MODE
    return header


class _HashingReader(io.RawIOBase):
    """A file that is hashed while it is read."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.sha256 = hashlib.sha256()

    def read(self, size: int = -1) -> bytes:
        block = self._file.read(size)
        self.sha256.update(block)
        return block


@dataclass(frozen=True, slots=True)
class Archive:
    """An archive with checked member names; `extract` checks their content."""

    manifest: Manifest
    _tar: tarfile.TarFile
    _members: Mapping[str, tarfile.TarInfo]

    @property
    def size(self) -> int:
        """Return the bytes that `extract` writes."""
        return sum(member.size for member in self._members.values())

    def extract(self, folder: Path) -> None:
        """Write all files into an empty folder. Raises `BackupError` at the first wrong file.

        The caller must remove files written before the error.
        """
        for name, sha256 in self.manifest.files.items():
            target = folder / name
            private_files.make_folder(target.parent)
            with _translate_errors():
                copied_sha256 = self._copy_member(name, target)
            if copied_sha256 != sha256:
                raise _damage(f"{name} differs from its checksum in the manifest")

    def _copy_member(self, name: str, target: Path) -> str:
        content = self._tar.extractfile(self._members[name])
        assert content is not None  # all are regular files
        with content, private_files.open_file(target, "xb") as file:
            source = _HashingReader(content)
            while block := source.read(BLOCK_BYTES):
                file.write(block)
        return source.sha256.hexdigest()


@contextmanager
def open_archive(file: Path) -> Iterator[Archive]:
    """Open an archive that contains exactly the files of its manifest, with allowed names.

    Raises `BackupError` for any other.
    """
    with _translate_errors(), tarfile.open(file, "r:", tarinfo=_RegularFile) as tar:
        members = _list_members(tar)
        manifest = _read_manifest(tar, members.pop(manifests.NAME, None))
        _refuse_other_members(members, manifest)
        yield Archive(manifest, tar, members)


class _RegularFile(tarfile.TarInfo):
    """A header of a regular file.

    All others are rejected before Python's `tarfile` interprets them: folders, links and devices,
    sparse files, and headers that change the name or the size of the next one.
    """

    @classmethod
    def frombuf(cls, buf: Any, encoding: str, errors: str) -> _RegularFile:
        header = super().frombuf(buf, encoding, errors)
        if header.type != tarfile.REGTYPE or header.size < 0:
            raise _refusal(f"{header.name!r} is not a regular file")
        return header


def _list_members(tar: tarfile.TarFile) -> dict[str, tarfile.TarInfo]:
    members: dict[str, tarfile.TarInfo] = {}
    for member in tar:
        if member.name in members:
            raise _refusal(f"{member.name!r} occurs twice")
        if member.name != manifests.NAME and not member_names.is_allowed(member.name):
            raise _refusal(f"{member.name!r} is not a valid name in a data directory")
        members[member.name] = member
    return members


def _read_manifest(tar: tarfile.TarFile, member: tarfile.TarInfo | None) -> Manifest:
    if member is None:
        raise _damage("it has no manifest: it is incomplete, or not a backup")
    if member.size > MAX_MANIFEST_BYTES:
        raise _refusal("its manifest is too large")
    content = tar.extractfile(member)
    assert content is not None  # all are regular files
    return manifests.decode_manifest(content.read())


def _refuse_other_members(members: Mapping[str, tarfile.TarInfo], manifest: Manifest) -> None:
    if member_names.RECORDS not in members:
        raise _damage(f"{member_names.RECORDS} is missing")
    for name in sorted(members.keys() ^ manifest.files.keys()):
        raise _damage(f"{name} is missing" if name not in members else f"{name} is not listed")


@contextmanager
def _translate_errors() -> Iterator[None]:
    """Convert read and write errors to `BackupError`."""
    try:
        yield
    except tarfile.TarError as error:
        raise _damage(f"it is truncated, or not a plain .tar ({error})") from error
    except OSError as error:
        raise BackupError(f"the backup cannot be restored: {error}") from error


def _damage(reason: str) -> BackupError:
    return BackupError(f"the archive is damaged: {reason}; use another backup")


def _refusal(reason: str) -> BackupError:
    return BackupError(
        f"the archive was not made by `transcribe backup` and was rejected: {reason}"
    )
