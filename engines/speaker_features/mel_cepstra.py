"""Mel cepstra: the spectral features of a voice, a hundred times per second."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

from engines.arrays import Frames
from engines.wav import RATE

#: Cepstra per second; "frame" means this interval everywhere in this package.
FRAMES_PER_SECOND = 100
#: Numbers per cepstrum. The zeroth, loudness, is left out: it depends on distance, not on the
#: speaker.
CEPSTRUM_SIZE = 19

_HOP_SAMPLES = RATE // FRAMES_PER_SECOND
_WINDOW_SAMPLES = 25 * RATE // 1000
_FFT_SIZE = 512
_BANDS = 32
_LOWEST_HZ, _HIGHEST_HZ = 100.0, 7600.0
#: Cepstra computed at once: the spectra of half a minute take some 10 MB.
_BLOCK_FRAMES = 30 * FRAMES_PER_SECOND


def compute_cepstra(pcm: NDArray[np.int16]) -> Frames:
    """Return one row for every whole 25 ms window, 10 ms apart; none for less than a window.

    The usual method (Davis and Mermelstein 1980): pre-emphasis, Hamming window, mel bands, log,
    cosine transform. The result takes 80 bytes per row.
    """
    count = 1 + (len(pcm) - _WINDOW_SAMPLES) // _HOP_SAMPLES if len(pcm) >= _WINDOW_SAMPLES else 0
    rows = np.empty((count, CEPSTRUM_SIZE), np.float32)
    for first in range(0, count, _BLOCK_FRAMES):
        last = min(first + _BLOCK_FRAMES, count)
        rows[first:last] = _compute_block(
            pcm[first * _HOP_SAMPLES : (last - 1) * _HOP_SAMPLES + _WINDOW_SAMPLES]
        )
    return rows


def _compute_block(pcm: NDArray[np.int16]) -> Frames:
    samples = pcm.astype(np.float32) / 32768
    windows = np.lib.stride_tricks.sliding_window_view(samples, _WINDOW_SAMPLES)[::_HOP_SAMPLES]
    # Computed within each window, so that blocks join seamlessly.
    emphasized = windows - 0.97 * np.pad(windows[:, :-1], ((0, 0), (1, 0)), mode="edge")
    power = np.abs(np.fft.rfft(emphasized * _HAMMING, _FFT_SIZE)).astype(np.float32) ** 2
    coefficients: Frames = dct(np.log(power @ _FILTERS + 1e-8), norm="ortho", axis=1)
    return coefficients[:, 1 : CEPSTRUM_SIZE + 1]


def _build_filters() -> Frames:
    """Return triangular filters of equal width in mel, one per column."""
    edges = (
        _mel_to_hertz(
            np.linspace(_hertz_to_mel(_LOWEST_HZ), _hertz_to_mel(_HIGHEST_HZ), _BANDS + 2)
        )
        * _FFT_SIZE
        / RATE
    )
    left, middle, right = edges[:-2], edges[1:-1], edges[2:]
    bins = np.arange(_FFT_SIZE // 2 + 1)[:, None]
    rise, fall = (bins - left) / (middle - left), (right - bins) / (right - middle)
    return np.maximum(0, np.minimum(rise, fall)).astype(np.float32)


def _hertz_to_mel(hertz: float) -> float:
    return float(2595 * np.log10(1 + hertz / 700))


def _mel_to_hertz(mel: NDArray[np.float64]) -> NDArray[np.float64]:
    return 700 * (10 ** (mel / 2595) - 1)


_HAMMING = np.hamming(_WINDOW_SAMPLES).astype(np.float32)
_FILTERS = _build_filters()
