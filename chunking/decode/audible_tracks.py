"""Detect which audio tracks of a recording are not silent. Only the decoder imports this."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import numpy as np
from av.audio.resampler import AudioResampler

from chunking.decode.container import find_start

#: RMS of a frame below which a track is silent (-60 dBFS).
_SILENCE_RMS = 1e-3


def find_audible_tracks(container: Any, streams: list[Any], max_seconds: float) -> set[int]:
    """Return the indexes of the streams that are not silent in the first *max_seconds* seconds.

    Stops reading when all of them have been found audible.
    """
    audible: set[int] = set()
    until = find_start(container) + max_seconds
    for packet in _demux_packets(container, streams):
        if packet.stream.index in audible:
            continue
        if packet.dts is not None and packet.dts * packet.time_base > until:
            break
        if any(map(_is_loud, _decode_packet(packet))):
            audible.add(packet.stream.index)
            if len(audible) == len(streams):
                break
    return audible


def _demux_packets(container: Any, streams: list[Any]) -> Iterator[Any]:
    try:
        yield from container.demux(streams)
    except av.FFmpegError:
        return


def _decode_packet(packet: Any) -> list[Any]:
    try:
        frames: list[Any] = packet.decode()
    except av.FFmpegError:
        return []
    return frames


def _is_loud(frame: Any) -> bool:
    # Interleaved: see `chunking.decode.resample`. A new resampler each time, since frames may
    # change.
    blocks = [block.to_ndarray() for block in AudioResampler(format="flt").resample(frame)]
    return any(np.sqrt(np.mean(np.square(np.nan_to_num(block)))) > _SILENCE_RMS for block in blocks)
