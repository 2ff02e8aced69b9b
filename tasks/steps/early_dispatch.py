"""Send the first chunks of a long recording while the rest is still decoded.

They are sent before the chord, and only at the rate that workers take them. Those that still wait
when the recording is cut are sent again with all others; the second message finds nothing to do.
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
    from chunking.audio_parts import AudioPart

#: Seconds between two checks whether workers need more chunks.
CHECK_EVERY_SECONDS = 0.5
#: Size of the first batch; it doubles each time workers have started all sent chunks. Few are
#: enough for few workers, and each chunk that still waits in the end has a useless message.
FIRST_BATCH = 8


class EarlyDispatch:
    """The chunks of a job that are final so far; *owner* prepares the job."""

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
        """Start storing the next chunks, and send stored ones if no sent chunk waits."""
        self._chunks += chunks
        self._futures += [
            self._uploads.store_part(chunk, layout.chunk_audio(self._job_id, position))
            for position, chunk in enumerate(chunks, len(self._futures))
        ]
        if time.monotonic() >= self._next_check:
            self._send_stored()

    def store_remaining(self, chunks: Sequence[AudioPart]) -> None:
        """Start storing the chunks that were not added before."""
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
        """Count the leading chunks that are in storage. Raises the error of a failed upload."""
        count = self._sent_count
        while count < len(self._futures) and self._futures[count].done():
            self._futures[count].result()
            count += 1
        return count
