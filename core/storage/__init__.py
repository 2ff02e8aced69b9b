"""Storage of objects by key: a small interface over a directory or S3-compatible storage."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager
from datetime import datetime
from functools import lru_cache
from pathlib import Path
from typing import Protocol

from core.settings import Settings, settings
from core.storage.directory import DirectoryStorage


class Storage(Protocol):
    """Keys are relative, with ``/`` between their parts.

    A written object appears complete or not at all, and the last writer wins. Every method raises
    `Unavailable` if the storage does not answer, and reading methods raise `NotFound`.
    """

    def put_file(self, key: str, path: Path) -> None:
        """Copy a file into the storage, in constant memory."""
        ...

    def move_file(self, key: str, path: Path) -> None:
        """Store a file that is not needed locally any more: it may be gone afterwards."""
        ...

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object."""
        ...

    def get_bytes(self, key: str) -> bytes:
        """Read a small object."""
        ...

    def open_local(self, key: str) -> AbstractContextManager[Path]:
        """Yield the object as a local file, which must not be written to, until the block ends."""
        ...

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """Yield the object, or its bytes from *start* to before *stop*, in blocks."""
        ...

    def get_size(self, key: str) -> int:
        """Return the size of an object in bytes."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Copy an object within the storage."""
        ...

    def list_keys(self, prefix: str) -> list[str]:
        """Return the keys that begin with *prefix*, sorted."""
        ...

    def list_folders(self, prefix: str) -> Iterator[list[str]]:
        """Yield the names between *prefix*, which ends with ``/``, and the next ``/``.

        They come in pages, in no particular order.
        """
        ...

    def get_modified_at(self, key: str) -> datetime:
        """Return the time of the object's last write, in UTC."""
        ...

    def delete(self, prefix: str) -> None:
        """Remove every object whose key begins with *prefix*. Safe to run twice."""
        ...

    def presign_url(self, key: str, *, seconds: int) -> str | None:
        """Return a link that works for *seconds* without credentials; None without link support."""
        ...

    def ping(self) -> None:
        """Raise `Unavailable` if no objects can be stored now."""
        ...

    def remove_unfinished(self) -> None:
        """Ensure that incomplete objects of killed writers are removed within some days."""
        ...


def storage() -> Storage:
    """Return the storage that the settings name; each process opens its own."""
    return _open_storage(settings(), os.getpid())


@lru_cache(maxsize=2)
def _open_storage(current_settings: Settings, _pid: int) -> Storage:
    if current_settings.minio_endpoint:
        # Imported only here: the embedded stack needs no S3 client.
        from core.storage.s3 import S3Storage

        return S3Storage.from_settings(current_settings)
    return DirectoryStorage(current_settings.objects_dir)
