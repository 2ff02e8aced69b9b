"""A recording taken apart as the mix of its channels, or each channel for itself."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from chunking import decode
from chunking.bleed import bleed, without
from chunking.cut import AudioChunker, Cutting, describe, write_wav
from chunking.plan import Window
from chunking.waveform import waveform
from core.errors import MediaError
from transcripts.stored import spans_to_json
from transcripts.types import Span, Stretch
from transcripts.warning import TranscriptWarning, WarningCode

#: A call has two, a round table with a microphone each some more. Each is decoded for itself.
MOST_CHANNELS = 8
ONE_CHANNEL = TranscriptWarning(
    WarningCode.ONE_CHANNEL,
    "The recording has one channel, so all of it is given to one speaker.",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """A chunk or a shard, and the sound that it is cut out of."""

    #: 16 kHz mono 16-bit samples without a header.
    pcm: Path
    window: Window
    #: Counted from 0; None: the mix of all.
    channel: int | None = None
    #: Where in the window the channel only hears another one.
    bleed: tuple[Span, ...] = ()
    #: Where else somebody seems to speak; not known of a piece that is cut early, nor of a shard.
    speech: tuple[Span, ...] = field(default=(), compare=False)

    @property
    def stretch(self) -> Stretch:
        """Its place in the recording."""
        return Stretch(self.window.start, self.window.end, self.channel)

    def write_wav(self, path: Path) -> None:
        """Write it as a 16 kHz mono 16-bit WAV file."""
        write_wav(self.pcm, self.window, path)


@dataclass(frozen=True, slots=True)
class Pieces:
    """All that a recording was cut into."""

    #: Seconds of the longest track.
    duration: float
    #: By start, and then by channel.
    chunks: tuple[Piece, ...]
    #: Empty where each channel is a speaker.
    shards: tuple[Piece, ...]
    #: For the user.
    warnings: tuple[TranscriptWarning, ...]
    #: What ``waveform.json`` says.
    waveform: Mapping[str, Any]

    def metadata(self, file_path: str) -> dict[str, Any]:
        """Return what ``chunks_metadata.json`` says of the recording called *file_path*."""
        return {
            "file_path": file_path,
            "total_duration": round(self.duration, 3),
            "sample_rate": decode.SAMPLE_RATE,
            "chunks": [_described(index, piece) for index, piece in enumerate(self.chunks)],
        }


def mix(
    chunker: AudioChunker,
    source: Path,
    folder: Path,
    on_chunks: Callable[[Sequence[Piece]], None] | None = None,
) -> Pieces:
    """Take the mix of all channels apart. Raises as `AudioChunker.take_apart` does.

    *on_chunks* is called with the first chunks while a long recording is still decoded; see there.
    """

    def on_windows(pcm: Path, windows: Sequence[Window]) -> None:
        if on_chunks is not None:
            on_chunks([Piece(pcm, window) for window in windows])

    cutting = chunker.take_apart(source, folder, on_windows=on_windows)
    return Pieces(
        duration=cutting.duration,
        chunks=tuple(_chunks(cutting)),
        shards=tuple(Piece(cutting.pcm, window) for window in cutting.shards),
        warnings=cutting.warnings,
        waveform=waveform([cutting.loudness], cutting.duration),
    )


def separate(chunker: AudioChunker, source: Path, folder: Path) -> Pieces:
    """Take each channel apart for itself.

    Raises as `AudioChunker.take_apart` does, and `MediaError` when there are more than
    `MOST_CHANNELS`.
    """
    count = _count_channels(source, chunker.limits)
    tracks = [_take_channel(chunker, source, folder, channel) for channel in range(count)]
    bled = bleed([cutting.pcm for cutting in tracks], [cutting.speech for cutting in tracks])
    chunks = [
        piece
        for channel, cutting in enumerate(tracks)
        for piece in _chunks(cutting, channel, bled[channel])
    ]
    duration = max(cutting.duration for cutting in tracks)
    return Pieces(
        duration=duration,
        chunks=tuple(sorted(chunks, key=lambda piece: (piece.window.start, piece.channel))),
        shards=(),
        warnings=(*_once(tracks), *((ONE_CHANNEL,) if count == 1 else ())),
        waveform=waveform([cutting.loudness for cutting in tracks], duration),
    )


def _count_channels(source: Path, limits: decode.Limits) -> int:
    count = decode.probe(source, limits).channels
    if count > MOST_CHANNELS:
        raise MediaError(
            f"channels=separate takes recordings of at most {MOST_CHANNELS} channels; "
            f"this one has {count}",
            code="too_many_channels",
        )
    return count


def _take_channel(chunker: AudioChunker, source: Path, folder: Path, channel: int) -> Cutting:
    own = folder / f"channel-{channel}"
    own.mkdir()
    return chunker.take_apart(source, own, channel=channel)


def _once(tracks: Sequence[Cutting]) -> tuple[TranscriptWarning, ...]:
    """What is wrong with the file is found in every channel, and told once."""
    return tuple(dict.fromkeys(warning for track in tracks for warning in track.warnings))


def _chunks(
    cutting: Cutting, channel: int | None = None, bled: Sequence[Span] = ()
) -> Iterator[Piece]:
    for window in cutting.windows:
        here = _inside(window, bled)
        speech = tuple(without(cutting.speech_in(window), here))
        yield Piece(cutting.pcm, window, channel, here, speech)


def _inside(window: Window, spans: Sequence[Span]) -> tuple[Span, ...]:
    cut = (Span(max(one.start, window.start), min(one.end, window.end)) for one in spans)
    return tuple(span for span in cut if span.start < span.end)


def _described(index: int, piece: Piece) -> dict[str, Any]:
    told = {**describe(index, piece.window), "speech": spans_to_json(piece.speech)}
    if piece.channel is None:
        return told
    return {**told, "channel": piece.channel, "bleed": spans_to_json(piece.bleed)}
