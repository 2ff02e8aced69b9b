"""Store the parts of a recording while it is still decoded, several at a time."""

from __future__ import annotations

from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Self
from uuid import uuid4

from core.storage import storage

if TYPE_CHECKING:
    from chunking.audio_parts import AudioPart

#: Storage answers after some ten milliseconds; meanwhile the decoder keeps a core busy.
MAX_PARALLEL = 4


class PartUploads(AbstractContextManager["PartUploads", None]):
    """Uploads of parts. No upload continues after the ``with`` block.

    *folder*: contains a part until it is stored.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._pool = ThreadPoolExecutor(MAX_PARALLEL, thread_name_prefix="upload")
        self._futures: list[Future[None]] = []

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def store_part(self, part: AudioPart, key: str) -> Future[None]:
        """Start storing a part."""
        future = self._pool.submit(self._write_part, part, key)
        self._futures.append(future)
        return future

    def wait(self) -> None:
        """Wait for all started uploads. Raises the error of a failed one."""
        for future in self._futures:
            future.result()

    def _write_part(self, part: AudioPart, key: str) -> None:
        path = self._folder / f"{uuid4().hex}.wav"
        try:
            part.write_wav(path)
            storage().move_file(key, path)
        finally:
            path.unlink(missing_ok=True)
