"""Cut a recording as the mix of its channels, or each channel separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chunking.cut import AudioChunker, Cutting
from chunking.decode import decoder
from chunking.parts import AudioPart, AudioParts
from chunking.plan.planner import Window
from chunking.vad.bleed import find_bleed, subtract_intervals
from chunking.vad.copies import find_copies
from chunking.waveform import build_waveform
from core.errors import MediaError
from transcripts.intervals import clip_intervals
from transcripts.types import Interval
from transcripts.warning import TranscriptWarning, WarningCode

#: A call has two channels, a round table with several microphones some more. Each is decoded
#: separately.
MAX_CHANNELS = 8
ALL_ALIKE = TranscriptWarning(
    WarningCode.CHANNELS_ALIKE,
    "All channels of the recording carry the same signal, so they are transcribed as one, and a "
    "diarizer separates the speakers.",
)
ONE_CHANNEL = TranscriptWarning(
    WarningCode.ONE_CHANNEL,
    "The recording has one channel, so all of it is assigned to one speaker.",
)


class ChannelsAlike(Exception):
    """All channels of a recording carry one signal, so they are not one speaker each."""


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
    """Cut each channel separately; a channel that is a copy of another one has no chunks.

    Raises as `AudioChunker.take_apart` does, `MediaError` if there are more than `MAX_CHANNELS`,
    and `ChannelsAlike`.
    """
    count = _count_channels(source, chunker.limits)
    cuttings = chunker.take_channels_apart(source, folder, count)
    pcm_files, speech = zip(*((cutting.pcm, cutting.speech) for cutting in cuttings), strict=True)
    originals = find_copies(pcm_files, speech)
    if count > 1 and originals.count(None) == 1:
        for pcm in pcm_files:
            pcm.unlink()
        raise ChannelsAlike
    bleed_by_channel = find_bleed(pcm_files, speech)
    chunks = [
        part
        for channel, cutting in enumerate(cuttings)
        if originals[channel] is None
        for part in _build_chunks(cutting, channel, bleed_by_channel[channel])
    ]
    duration = max(cutting.duration for cutting in cuttings)
    return AudioParts(
        duration=duration,
        chunks=tuple(sorted(chunks, key=lambda part: (part.window.start, part.channel))),
        shards=(),
        warnings=(*_merge_warnings(cuttings), *_describe_channels(originals)),
        waveform=build_waveform([cutting.loudness for cutting in cuttings], duration),
    )


def _describe_channels(originals: Sequence[int | None]) -> Iterator[TranscriptWarning]:
    if len(originals) == 1:
        yield ONE_CHANNEL
    for channel, original in enumerate(originals):
        if original is not None:
            yield TranscriptWarning(
                WarningCode.CHANNELS_ALIKE,
                f"Channel {channel + 1} carries the same signal as channel {original + 1}, so only "
                "that one is transcribed.",
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
