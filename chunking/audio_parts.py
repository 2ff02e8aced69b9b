"""The chunks and shards of a recording, each with the audio that it is cut out of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunking.cut import chunk_name
from chunking.decode import decoder
from chunking.pcm import write_wav
from chunking.plan.planner import Window
from transcripts.serialization import intervals_to_json
from transcripts.types import ChannelInterval, Interval
from transcripts.warning import TranscriptWarning


@dataclass(frozen=True, slots=True)
class AudioPart:
    """A chunk or a shard, and the audio file that it is cut out of."""

    #: 16 kHz mono 16-bit samples without a header.
    pcm: Path
    window: Window
    #: Counted from 0; None: the mix of all channels.
    channel: int | None = None
    #: Intervals of the window in which the channel only carries another channel's audio.
    bleed: tuple[Interval, ...] = ()
    #: Intervals of other speech; unknown for chunks cut early and for shards.
    speech: tuple[Interval, ...] = field(default=(), compare=False)

    @property
    def interval(self) -> ChannelInterval:
        """Return the interval in the recording."""
        return ChannelInterval(self.window.start, self.window.end, self.channel)

    def write_wav(self, path: Path) -> None:
        """Write the audio as a 16 kHz mono 16-bit WAV file."""
        write_wav(self.pcm, self.interval, path)


@dataclass(frozen=True, slots=True)
class AudioParts:
    """All parts of a recording."""

    #: Seconds of the longest channel.
    duration: float
    #: By start, and then by channel.
    chunks: tuple[AudioPart, ...]
    #: Empty if each channel is a speaker.
    shards: tuple[AudioPart, ...]
    #: For the user.
    warnings: tuple[TranscriptWarning, ...]
    #: Content of ``waveform.json``.
    waveform: Mapping[str, Any]

    def metadata(self, file_path: str) -> dict[str, Any]:
        """Return ``chunks_metadata.json`` of the recording called *file_path*."""
        return {
            "file_path": file_path,
            "total_duration": round(self.duration, 3),
            "sample_rate": decoder.SAMPLE_RATE,
            "chunks": [_describe_part(index, part) for index, part in enumerate(self.chunks)],
        }


def _describe_part(index: int, part: AudioPart) -> dict[str, Any]:
    description = {**_describe_window(index, part.window), "speech": intervals_to_json(part.speech)}
    if part.channel is None:
        return description
    return {**description, "channel": part.channel, "bleed": intervals_to_json(part.bleed)}


def _describe_window(index: int, window: Window) -> dict[str, Any]:
    """Return the entry of chunk *index* in ``chunks_metadata.json``."""
    return {
        "index": index,
        "file": chunk_name(index),
        "start_time": round(window.start, 3),
        "end_time": round(window.end, 3),
        "duration": round(window.duration, 3),
        "overlap": round(window.overlap, 3),
    }
