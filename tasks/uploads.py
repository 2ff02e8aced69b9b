"""Stores the pieces of a recording while it is still decoded, several at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from core.storage import storage

if TYPE_CHECKING:
    from chunking.tracks import Piece

#: A storage answers each after some ten milliseconds; the decoder keeps a core busy meanwhile.
AT_ONCE = 4


class Uploads(AbstractContextManager["Uploads", None]):
    """Pieces on their way to storage; nothing goes on when the ``with`` block is left.

    *folder*: where a piece lies until it is stored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(AT_ONCE, thread_name_prefix="upload")
        self._running: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def store(self, piece: Piece, key: str) -> Future[None]:
        """Begin to store a piece."""
        stored = self._pool.submit(self._store, piece, key)
        self._running.append(stored)
        return stored

    def wait(self) -> None:
        """Wait for all that was begun. Raises what kept one of them from being stored."""
        for stored in self._running:
            stored.result()

    def _store(self, piece: Piece, key: str) -> None:
        path = self._folder / f"{uuid4().hex}.wav"
        try:
            piece.write_wav(path)
            storage().take_file(key, path)
        finally:
            path.unlink(missing_ok=True)
