"""Has the first chunks of a long recording heard while the rest of it is still decoded.

They are sent ahead of the chord, and only as workers take them: what still waits when the recording
is cut is sent again with all others, and one of the two messages finds nothing to do.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from concurrent.futures import Future
from typing import TYPE_CHECKING

from core.db.transactions import transaction
from core.jobs import lifecycle, part_creation, parts
from core.jobs.parts import PartId
from core.states import PartKind
from core.storage import layout
from tasks import pipeline
from tasks.reporting import progress
from tasks.steps.part_uploads import PartUploads

if TYPE_CHECKING:
    from chunking.tracks import AudioPart

#: Seconds between two looks whether workers could do with more.
CHECK_EVERY_SECONDS = 0.5
#: Chunks that are sent first, and twice as many each time that workers have begun with them all: a
#: few are enough for a few workers, and each that still waits in the end is a message for nothing.
FIRST_BATCH = 8


class EarlyDispatch:
    """The chunks that are certain so far, of a job that this owner prepares."""

    def __init__(self, job_id: str, owner: str, uploads: PartUploads) -> None:
        self._job_id = job_id
        self._owner = owner
        self._uploads = uploads
        self._chunks: list[AudioPart] = []
        self._futures: list[Future[None]] = []
        self._sent_count = 0
        self._batch_size = FIRST_BATCH
        self._next_check = 0.0

    def add_chunks(self, chunks: Sequence[AudioPart]) -> None:
        """Begin to store the next chunks, and send what is stored if workers have nothing of it."""
        self._chunks += chunks
        self._futures += [
            self._uploads.store_part(chunk, layout.chunk_audio(self._job_id, position))
            for position, chunk in enumerate(chunks, len(self._futures))
        ]
        if time.monotonic() >= self._next_check:
            self._send_stored()

    def store_remaining(self, chunks: Sequence[AudioPart]) -> None:
        """Begin to store those of all chunks that were not added before."""
        for position, chunk in enumerate(chunks):
            if self._chunks[position : position + 1] != [chunk]:
                self._uploads.store_part(chunk, layout.chunk_audio(self._job_id, position))

    def _send_stored(self) -> None:
        ready_count = min(self._count_stored(), self._sent_count + self._batch_size)
        if ready_count == self._sent_count:
            return
        self._next_check = time.monotonic() + CHECK_EVERY_SECONDS
        with transaction() as session:
            if parts.has_waiting_chunk(
                session, self._job_id
            ) or not lifecycle.renew_preparation_lease(session, self._job_id, self._owner):
                return
            intervals = [chunk.interval for chunk in self._chunks[:ready_count]]
            part_creation.write_parts(
                session, self._job_id, PartKind.CHUNK, intervals, is_complete=False
            )
        positions = range(self._sent_count, ready_count)
        pipeline.send_chunks_ahead(
            self._job_id, [PartId(self._job_id, PartKind.CHUNK, position) for position in positions]
        )
        self._sent_count = ready_count
        self._batch_size *= 2
        progress.publish_status(self._job_id)

    def _count_stored(self) -> int:
        """How many of the first chunks lie in storage. Raises what kept one of them from it."""
        count = self._sent_count
        while count < len(self._futures) and self._futures[count].done():
            self._futures[count].result()
            count += 1
        return count
