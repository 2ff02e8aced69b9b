"""Resample any frames to 16 kHz, with all channels and as mono. Only the decoder imports it."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from typing import Any

import av
import av.filter
import numpy as np
from av.audio.resampler import AudioResampler

from chunking.decode.downmix import Floats, Shorts, to_pcm

#: Sampling rate of the output (Hz).
RATE = 16_000
#: FFmpeg knows no layout of more channels, and mixes none of them.
_MAX_MIXED_CHANNELS = 16


class Resampler:
    """Resamples audio to 16 kHz twice: with all its channels, and in FFmpeg's own mono mix."""

    def __init__(self, first: Any) -> None:
        # Blocks of a second keep the work per block small. Interleaved, because PyAV 18.1 crashes
        # when it lists the planes of eight channels or more.
        self._channels = AudioResampler(format="flt", rate=RATE, frame_size=RATE)
        self._plain = (
            _build_mono_graph(first) if first.layout.nb_channels <= _MAX_MIXED_CHANNELS else None
        )

    def resample(self, frame: Any) -> Iterator[tuple[Floats, Shorts]]:
        """Yield blocks (channels, samples) and their mono mix; the frame None ends the stream."""
        if self._plain is not None:
            self._plain.push(frame)
        for block in self._channels.resample(frame):
            samples: Floats = np.ascontiguousarray(block.to_ndarray().reshape(block.samples, -1).T)
            yield samples, self._pull_mono(samples)

    def _pull_mono(self, samples: Floats) -> Shorts:
        """Return FFmpeg's mono mix of the block, or the mean of channels that it cannot mix."""
        if self._plain is None:
            return to_pcm(np.nan_to_num(samples).mean(axis=0))
        return np.asarray(self._plain.pull().to_ndarray(), np.int16).reshape(-1)


def _build_mono_graph(first: Any) -> av.filter.Graph:
    """Build what ffmpeg does for ``-ac 1 -ar 16000``, for frames like the *first* one.

    16-bit audio is resampled in 16 bits, as FFmpeg did up to its release 5. Newer releases differ
    in the last bits, and the known error rates of engines were measured on the older output.
    """
    options = str(RATE)
    if first.format.name in ("s16", "s16p"):
        options += ":internal_sample_fmt=s16p"
    graph = av.filter.Graph()
    graph.link_nodes(
        graph.add_abuffer(
            format=first.format.name,
            sample_rate=first.sample_rate,
            layout=first.layout.name,
            time_base=Fraction(1, first.sample_rate),
        ),
        graph.add("aresample", options),
        graph.add("aformat", "sample_fmts=s16:channel_layouts=mono"),
        graph.add("abuffersink"),
    ).configure()
    graph.set_audio_frame_size(RATE)
    return graph
