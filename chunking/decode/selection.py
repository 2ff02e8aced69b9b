"""Which audio of a recording is decoded: a track, one of its channels, or several tracks mixed."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from chunking.decode import decoder
from chunking.decode.decoder import Limits, PcmStream
from chunking.decode.track_mix import TrackMix, stream_tracks
from core.errors import MediaError
from core.states import ALL_TRACKS

#: A call has two channels, a round table with several microphones some more.
MAX_CHANNELS = 8


@dataclass(frozen=True, slots=True)
class Selection:
    """One stream of a recording."""

    #: Number of an audio track, counted from 1, or its language; None: the default track.
    track: str | None = None
    #: A channel of the track, counted from 0; None: the mix of all.
    channel: int | None = None
    #: Numbers of tracks that are mixed; in place of *track*.
    mixed_tracks: tuple[int, ...] = ()

    @contextmanager
    def stream(self, path: Path, limits: Limits) -> Iterator[PcmStream | TrackMix]:
        """Decode it. Raises the errors of `chunking.decode.decoder`, also while it is read."""
        if self.mixed_tracks:
            with stream_tracks(path, limits, self.mixed_tracks) as mix:
                yield mix
            return
        with decoder.stream(path, limits, channel=self.channel, track=self.track) as stream:
            yield stream


def select_mix(path: Path, limits: Limits, track: str | None) -> Selection:
    """Return what is decoded of a recording whose channels are mixed.

    *track*: as requested; `ALL_TRACKS` mixes all of them. Raises `MediaError` for more than
    `MAX_CHANNELS` tracks, and as `decoder.probe`.
    """
    if track != ALL_TRACKS:
        return Selection(track=track)
    numbers = decoder.probe(path, limits).tracks
    _check_count(len(numbers), "audio tracks", "track=all")
    return Selection(mixed_tracks=tuple(sorted(numbers))) if len(numbers) > 1 else Selection()


def select_channels(path: Path, limits: Limits, track: str | None) -> list[Selection]:
    """Return what is decoded of a recording in which each channel is a speaker.

    If it has several audio tracks and none is requested, its tracks are the channels. Raises as
    `select_mix`.
    """
    requested = None if track == ALL_TRACKS else track
    media = decoder.probe(path, limits, track=requested)
    if requested is None and len(media.tracks) > 1:
        _check_count(len(media.tracks), "audio tracks", "channels=separate")
        return [Selection(track=str(number)) for number in sorted(media.tracks)]
    _check_count(media.channels, "channels", "channels=separate")
    return [Selection(track=requested, channel=channel) for channel in range(media.channels)]


def _check_count(count: int, noun: str, option: str) -> None:
    if count > MAX_CHANNELS:
        raise MediaError(
            f"{option} supports recordings of at most {MAX_CHANNELS} {noun}; this one has {count}",
            code="too_many_channels",
        )
