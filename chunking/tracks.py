"""Cut a recording as the mix of its channels, or each channel separately."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from chunking.audio_parts import AudioPart, AudioParts
from chunking.cut import AudioChunker, Cutting
from chunking.decode.selection import Selection, select_channels, select_mix
from chunking.plan.planner import Window
from chunking.vad.bleed import find_bleed, subtract_intervals
from chunking.vad.copies import find_copies
from chunking.waveform import build_waveform
from transcripts.intervals import clip_intervals
from transcripts.types import Interval
from transcripts.warning import TranscriptWarning, WarningCode

ONE_CHANNEL = TranscriptWarning(
    WarningCode.ONE_CHANNEL,
    "The recording has one channel, so all of it is assigned to one speaker.",
)


class ChannelsAlike(Exception):
    """All channels of a recording, or all its tracks, carry one signal: they are no speakers."""

    def __init__(self, first: Selection) -> None:
        super().__init__()
        #: The track to transcribe; None: the default one.
        self.track = first.track
        self.warning = TranscriptWarning(
            WarningCode.CHANNELS_ALIKE,
            f"All {_name_kind(first)}s of the recording carry the same signal, so they are "
            "transcribed as one, and a diarizer separates the speakers.",
        )


def cut_mix(
    chunker: AudioChunker,
    source: Path,
    folder: Path,
    on_chunks: Callable[[Sequence[AudioPart]], None] | None = None,
    *,
    track: str | None = None,
) -> AudioParts:
    """Cut the mix of all channels of a track. Raises as `AudioChunker.take_apart` does.

    *track*: its number or language, or `ALL_TRACKS`; None: the default track. *on_chunks* is called
    with the first chunks while a long recording is still being decoded; see
    `AudioChunker.take_apart`.
    """

    def on_windows(pcm: Path, windows: Sequence[Window]) -> None:
        if on_chunks is not None:
            on_chunks([AudioPart(pcm, window) for window in windows])

    selection = select_mix(source, chunker.limits, track)
    cutting = chunker.take_apart(source, folder, selection=selection, on_windows=on_windows)
    return AudioParts(
        duration=cutting.duration,
        chunks=tuple(_build_chunks(cutting)),
        shards=tuple(AudioPart(cutting.pcm, window) for window in cutting.shards),
        warnings=cutting.warnings,
        waveform=build_waveform([cutting.loudness], cutting.duration),
    )


def cut_channels(
    chunker: AudioChunker, source: Path, folder: Path, *, track: str | None = None
) -> AudioParts:
    """Cut each channel separately; a channel that is a copy of another one has no chunks.

    *track*: its number or language; None or `ALL_TRACKS`: all tracks, each as a channel, if there
    are several.

    Raises as `AudioChunker.take_apart` does, `MediaError` if there are more than `MAX_CHANNELS`,
    and `ChannelsAlike`.
    """
    selections = select_channels(source, chunker.limits, track)
    cuttings = _cut_selections(chunker, source, folder, selections)
    pcm_files, speech = zip(*((cutting.pcm, cutting.speech) for cutting in cuttings), strict=True)
    originals = find_copies(pcm_files, speech)
    if len(cuttings) > 1 and originals.count(None) == 1:
        for pcm in pcm_files:
            pcm.unlink()
        raise ChannelsAlike(selections[0])
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
        warnings=(*_merge_warnings(cuttings), *_describe_channels(originals, selections[0])),
        waveform=build_waveform([cutting.loudness for cutting in cuttings], duration),
    )


def _describe_channels(
    originals: Sequence[int | None], first: Selection
) -> Iterator[TranscriptWarning]:
    if len(originals) == 1:
        yield ONE_CHANNEL
    for channel, original in enumerate(originals):
        if original is not None:
            yield TranscriptWarning(
                WarningCode.CHANNELS_ALIKE,
                f"{_name_kind(first).capitalize()} {channel + 1} carries the same signal as "
                f"{_name_kind(first)} {original + 1}, so only that one is transcribed.",
            )


def _name_kind(selection: Selection) -> str:
    return "audio track" if selection.channel is None else "channel"


def _cut_selections(
    chunker: AudioChunker, source: Path, folder: Path, selections: Sequence[Selection]
) -> list[Cutting]:
    """Cut the channels of one track in one pass, or one track after the other."""
    if selections[0].channel is not None:
        count, track = len(selections), selections[0].track
        return chunker.take_channels_apart(source, folder, count, track=track)
    cuttings = []
    for number, selection in enumerate(selections):
        track_folder = folder / f"track-{number}"
        track_folder.mkdir()
        cuttings.append(chunker.take_apart(source, track_folder, selection=selection))
    return cuttings


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
