"""Objects by key: one small interface, kept in a directory or in S3-compatible storage."""

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

    A written object appears whole or not at all, and the last writer wins. Every method raises
    `Unavailable` when the storage does not answer, and those that read raise `NotFound`.
    """

    def put_file(self, key: str, path: Path) -> None:
        """Copy a file there, in constant memory."""
        ...

    def move_file(self, key: str, path: Path) -> None:
        """The same with a file that nobody needs any more: it may be gone afterwards."""
        ...

    def put_bytes(self, key: str, data: bytes) -> None:
        """Write a small object."""
        ...

    def get_bytes(self, key: str) -> bytes:
        """Read a small object."""
        ...

    def open_local(self, key: str) -> AbstractContextManager[Path]:
        """The object as a local file, for as long as the block lasts. It must not be written to."""
        ...

    def stream(self, key: str, start: int = 0, stop: int | None = None) -> Iterator[bytes]:
        """The object, or its bytes from *start* to before *stop*, in blocks."""
        ...

    def get_size(self, key: str) -> int:
        """Bytes of an object."""
        ...

    def copy(self, source: str, target: str) -> None:
        """Have the same object under another key too, without the bytes passing through here."""
        ...

    def list_keys(self, prefix: str) -> list[str]:
        """The keys that begin with *prefix*, sorted."""
        ...

    def list_folders(self, prefix: str) -> Iterator[list[str]]:
        """The names between *prefix*, which ends with ``/``, and the next ``/``: by the page, in
        no order.
        """
        ...

    def get_modified_at(self, key: str) -> datetime:
        """When the object was written last, in UTC."""
        ...

    def delete(self, prefix: str) -> None:
        """Remove every object whose key begins with *prefix*. Safe to run twice."""
        ...

    def presign_url(self, key: str, *, seconds: int) -> str | None:
        """A link that works for so many seconds without credentials; None if there is no such."""
        ...

    def ping(self) -> None:
        """Raise `Unavailable` when objects cannot be kept now."""
        ...

    def remove_unfinished(self) -> None:
        """See that what killed writers have left half-written goes within some days."""
        ...


def storage() -> Storage:
    """The storage that the settings name; one of its own for each process."""
    return _open_storage(settings(), os.getpid())


@lru_cache(maxsize=2)
def _open_storage(current_settings: Settings, _pid: int) -> Storage:
    if current_settings.minio_endpoint:
        # Imported only here: the embedded default needs no S3 client.
        from core.storage.s3 import S3Storage

        return S3Storage.from_settings(current_settings)
    return DirectoryStorage(current_settings.objects_dir)
