"""The parts of a job with their results, read back from storage and verified by checksum."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from core.errors import NotFound
from core.jobs.records import PartRecord
from core.states import PartKind, PartState
from core.storage import layout, storage
from transcripts.serialization import chunk_from_json, diarization_from_json
from transcripts.types import ChannelInterval, ChunkResult, Diarization

_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class StoredPart(Generic[_Result]):
    """A part and its result; None for a part that failed, or whose result is missing."""

    part: PartRecord
    result: _Result | None

    @property
    def interval(self) -> ChannelInterval:
        return self.part.interval

    @property
    def position(self) -> int:
        return self.part.position

    @property
    def failure_reason(self) -> str:
        return (self.part.error or {}).get("message", "unknown reason")

    @property
    def is_missing(self) -> bool:
        """Whether the part was stored once, and its result is not there any more."""
        return self.result is None and self.part.state is PartState.STORED


@dataclass(frozen=True, slots=True)
class StoredParts:
    """All parts of a job, in the order of the recording."""

    chunks: tuple[StoredPart[ChunkResult], ...]
    shards: tuple[StoredPart[Diarization], ...]

    @property
    def missing(self) -> tuple[PartRecord, ...]:
        """The parts that must be done again."""
        return (
            *(stored.part for stored in self.chunks if stored.is_missing),
            *(stored.part for stored in self.shards if stored.is_missing),
        )


def load_parts(parts: Sequence[PartRecord]) -> StoredParts:
    """Read the results of all parts. Raises `Unavailable` when storage does not answer."""
    return StoredParts(
        chunks=tuple(
            _load_part(part, layout.chunk_transcription, chunk_from_json)
            for part in parts
            if part.id.kind is PartKind.CHUNK
        ),
        shards=tuple(
            _load_part(part, layout.shard_diarization, diarization_from_json)
            for part in parts
            if part.id.kind is PartKind.SHARD
        ),
    )


def _load_part(
    part: PartRecord, build_key: Callable[[str, int], str], parse: Callable[[Any], _Result]
) -> StoredPart[_Result]:
    if part.state is not PartState.STORED:
        return StoredPart(part, None)
    try:
        content = storage().get_bytes(build_key(part.id.job_id, part.position))
    except NotFound:
        return StoredPart(part, None)
    is_whole = hashlib.sha256(content).hexdigest() == part.sha256
    return StoredPart(part, parse(json.loads(content)) if is_whole else None)
