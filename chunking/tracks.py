"""Cut a recording as the mix of its channels, or each channel separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunking.cut import AudioChunker, Cutting, describe, write_wav
from chunking.decode import decoder
from chunking.plan.planner import Window
from chunking.vad.bleed import find_bleed, subtract_intervals
from chunking.waveform import build_waveform
from core.errors import MediaError
from transcripts.intervals import clip_intervals
from transcripts.serialization import intervals_to_json
from transcripts.types import ChannelInterval, Interval
from transcripts.warning import TranscriptWarning, WarningCode

#: A call has two channels, a round table with several microphones some more. Each is decoded
#: separately.
MAX_CHANNELS = 8
ONE_CHANNEL = TranscriptWarning(
    WarningCode.ONE_CHANNEL,
    "The recording has one channel, so all of it is assigned to one speaker.",
)


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
        write_wav(self.pcm, self.window, path)


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


def cut_mix(
    chunker: AudioChunker,
    source: Path,
    folder: Path,
    on_chunks: Callable[[Sequence[AudioPart]], None] | None = None,
) -> AudioParts:
    """Cut the mix of all channels. Raises as `AudioChunker.take_apart` does.

    *on_chunks* is called with the first chunks while a long recording is still being decoded; see
    `AudioChunker.take_apart`.
    """

    def on_windows(pcm: Path, windows: Sequence[Window]) -> None:
        if on_chunks is not None:
            on_chunks([AudioPart(pcm, window) for window in windows])

    cutting = chunker.take_apart(source, folder, on_windows=on_windows)
    return AudioParts(
        duration=cutting.duration,
        chunks=tuple(_build_chunks(cutting)),
        shards=tuple(AudioPart(cutting.pcm, window) for window in cutting.shards),
        warnings=cutting.warnings,
        waveform=build_waveform([cutting.loudness], cutting.duration),
    )


def cut_channels(chunker: AudioChunker, source: Path, folder: Path) -> AudioParts:
    """Cut each channel separately.

    Raises as `AudioChunker.take_apart` does, and `MediaError` if there are more than
    `MAX_CHANNELS`.
    """
    count = _count_channels(source, chunker.limits)
    cuttings = [_cut_channel(chunker, source, folder, channel) for channel in range(count)]
    bleed_by_channel = find_bleed(
        [cutting.pcm for cutting in cuttings], [cutting.speech for cutting in cuttings]
    )
    chunks = [
        part
        for channel, cutting in enumerate(cuttings)
        for part in _build_chunks(cutting, channel, bleed_by_channel[channel])
    ]
    duration = max(cutting.duration for cutting in cuttings)
    return AudioParts(
        duration=duration,
        chunks=tuple(sorted(chunks, key=lambda part: (part.window.start, part.channel))),
        shards=(),
        warnings=(*_merge_warnings(cuttings), *((ONE_CHANNEL,) if count == 1 else ())),
        waveform=build_waveform([cutting.loudness for cutting in cuttings], duration),
    )


def _count_channels(source: Path, limits: decoder.Limits) -> int:
    count = decoder.probe(source, limits).channels
    if count > MAX_CHANNELS:
        raise MediaError(
            f"channels=separate accepts recordings with at most {MAX_CHANNELS} channels; "
            f"this one has {count}",
            code="too_many_channels",
        )
    return count


def _cut_channel(chunker: AudioChunker, source: Path, folder: Path, channel: int) -> Cutting:
    channel_folder = folder / f"channel-{channel}"
    channel_folder.mkdir()
    return chunker.take_apart(source, channel_folder, channel=channel)


def _merge_warnings(cuttings: Sequence[Cutting]) -> tuple[TranscriptWarning, ...]:
    """Return the warnings of all channels without duplicates: a file's fault shows in each."""
    return tuple(dict.fromkeys(warning for cutting in cuttings for warning in cutting.warnings))


def _build_chunks(
    cutting: Cutting, channel: int | None = None, channel_bleed: Sequence[Interval] = ()
) -> Iterator[AudioPart]:
    for window in cutting.windows:
        window_bleed = clip_intervals(channel_bleed, window.start, window.end)
        speech = tuple(subtract_intervals(cutting.speech_in(window), window_bleed))
        yield AudioPart(cutting.pcm, window, channel, window_bleed, speech)


def _describe_part(index: int, part: AudioPart) -> dict[str, Any]:
    description = {**describe(index, part.window), "speech": intervals_to_json(part.speech)}
    if part.channel is None:
        return description
    return {**description, "channel": part.channel, "bleed": intervals_to_json(part.bleed)}
