"""Has the first chunks of a long recording heard while the rest of it is still decoded.

They are sent ahead of the chord, and only as workers take them: what still waits when the recording
is cut is sent again with all others, and one of the two messages finds nothing to do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from core import jobs, layout, parts, pieces, progress
from core.db import transaction
from core.parts import PartId
from core.states import PartKind
from tasks import pipeline
from tasks.uploads import Uploads

if TYPE_CHECKING:
    from chunking.tracks import Piece

#: Seconds between two looks whether workers could do with more.
EVERY = 0.5
#: Chunks that are sent first, and twice as many each time that workers have begun with them all: a
#: few are enough for a few workers, and each that still waits in the end is a message for nothing.
FIRST = 8


class Vanguard:
    """The chunks that are certain so far, of a job that this owner prepares."""

    def __init__(self, job_id: str, owner: str, uploads: Uploads) -> None:
        self._job_id = job_id
        self._owner = owner
        self._uploads = uploads
        self._chunks: list[Piece] = []
        self._stored: list[Future[None]] = []
        self._sent = 0
        self._batch = FIRST
        self._next_look = 0.0

    def take(self, chunks: Sequence[Piece]) -> None:
        """Begin to store the next chunks, and send what is stored if workers have nothing of it."""
        self._chunks += chunks
        self._stored += [
            self._uploads.store(piece, layout.chunk_audio(self._job_id, position))
            for position, piece in enumerate(chunks, len(self._stored))
        ]
        if time.monotonic() >= self._next_look:
            self._send()

    def store_rest(self, chunks: Sequence[Piece]) -> None:
        """Begin to store those of all chunks that were not taken before."""
        for position, piece in enumerate(chunks):
            if self._chunks[position : position + 1] != [piece]:
                self._uploads.store(piece, layout.chunk_audio(self._job_id, position))

    def _send(self) -> None:
        ready = min(self._count_stored(), self._sent + self._batch)
        if ready == self._sent:
            return
        self._next_look = time.monotonic() + EVERY
        with transaction() as session:
            if parts.any_waiting(session, self._job_id) or not jobs.still_prepares(
                session, self._job_id, self._owner
            ):
                return
            stretches = [piece.stretch for piece in self._chunks[:ready]]
            pieces.write_down(session, self._job_id, PartKind.CHUNK, stretches, are_all=False)
        positions = range(self._sent, ready)
        pipeline.send_ahead(
            self._job_id, [PartId(self._job_id, PartKind.CHUNK, one) for one in positions]
        )
        self._sent = ready
        self._batch *= 2
        progress.tell(self._job_id)

    def _count_stored(self) -> int:
        """How many of the first chunks lie in storage. Raises what kept one of them from it."""
        count = self._sent
        while count < len(self._stored) and self._stored[count].done():
            self._stored[count].result()
            count += 1
        return count
