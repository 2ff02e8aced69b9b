"""Puts a transcript together in which each channel of the recording is a speaker."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace

from transcripts.segments import segment
from transcripts.stitch import HeardChunk, stitch
from transcripts.types import Segment, Turn


def by_channel(heard: Mapping[int, Sequence[HeardChunk]]) -> tuple[Segment, ...]:
    """The segments of all channels by start; the number of the channel is that of the speaker.

    A sentence stays whole when somebody speaks into it: the other's segment comes after it and
    begins before its end.
    """
    segments = [one for channel, chunks in heard.items() for one in _of_one(channel, chunks)]
    return tuple(sorted(segments, key=lambda one: (one.start, one.end, one.speaker)))


def turns(segments: Sequence[Segment]) -> tuple[Turn, ...]:
    """Who speaks when, as far as words say so."""
    return tuple(
        Turn(one.start, one.end, one.speaker) for one in segments if one.speaker is not None
    )


def _of_one(channel: int, chunks: Sequence[HeardChunk]) -> tuple[Segment, ...]:
    return segment([replace(word, speaker=channel) for word in stitch(chunks)])
