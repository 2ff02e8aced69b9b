"""Find how much later the signal of one channel arrives on another one, whatever its level.

A room or a telephone network makes a signal quieter, filtered or inverted. Its phases, relative to
the original at the right lag, stay the same. So this module correlates the phases alone
(generalized cross-correlation with phase transform, Knapp and Carter 1976).
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chunking.decode.decoder import SAMPLE_RATE

#: Longest delay of a copy (seconds).
MAX_LAG_SECONDS = 0.3
#: Length of the windows (seconds), and how many of them at most.
LAG_WINDOW_SECONDS, MAX_LAG_WINDOWS = 2.0, 60
#: A window with a lower score shows no lag.
MIN_LAG_SCORE = 0.15
#: Share of the windows with a signal that must show one lag.
MIN_LAG_SHARE = 0.3
#: Deviation from the lag that windows may have (seconds): clocks drift.
LAG_TOLERANCE_SECONDS = 0.004

_DECIMATION = 2
#: Samples per second that a `ChannelReader` returns.
RATE = SAMPLE_RATE // _DECIMATION
_BAND_HZ = (150.0, 3_600.0)
#: Frequencies so much weaker than the strongest one carry only noise (power ratio).
_MIN_POWER_SHARE = 10**-3.5
#: Below this RMS (full scale 1.0) there is no signal.
_MIN_RMS = 10 ** (-75 / 20)

#: Starts of windows, in seconds.
Starts = NDArray[np.float64]
_Samples = NDArray[np.float32]


class ChannelReader:
    """Random access to a file of 16 kHz 16-bit samples, at half the rate."""

    def __init__(self, path: Path) -> None:
        self._samples = np.memmap(path, "<i2", "r") if path.stat().st_size else np.zeros(0, "<i2")

    @property
    def seconds(self) -> float:
        return len(self._samples) / SAMPLE_RATE

    def read(self, start: float, seconds: float) -> _Samples:
        """Return the audio from *start* on (full scale 1.0); zeros before and after the file."""
        count = round(seconds * RATE)
        first = round(start * RATE) * _DECIMATION
        head = min(max(0, -first), count * _DECIMATION)
        pcm = self._samples[max(0, first) : max(0, first + count * _DECIMATION)]
        samples = np.zeros(count * _DECIMATION, np.float32)
        samples[head : head + len(pcm)] = pcm
        decimated: _Samples = samples.reshape(-1, _DECIMATION).mean(axis=1) / 32768
        return decimated


def find_lag(source: ChannelReader, target: ChannelReader, starts: Starts) -> float | None:
    """Return the usual delay of *target* (seconds); None if too few windows agree on one.

    The delay is negative if *source* is the later one. *starts*: of the windows to compare
    (seconds); some of them are chosen.
    """
    measured = list(_measure_lags(source, target, starts))
    lags = [lag for lag in measured if lag is not None]
    if not lags:
        return None
    near = [sum(abs(lag - other) <= LAG_TOLERANCE_SECONDS for other in lags) for lag in lags]
    best = int(np.argmax(near))
    return lags[best] if near[best] >= max(1, MIN_LAG_SHARE * len(measured)) else None


def _measure_lags(
    source: ChannelReader, target: ChannelReader, starts: Starts
) -> Iterator[float | None]:
    # A copy may seem a millisecond early, where a filter has moved its phases.
    early = round((LAG_TOLERANCE_SECONDS + MAX_LAG_SECONDS) * RATE)
    late = round(MAX_LAG_SECONDS * RATE)
    for start in starts[:: max(1, len(starts) // MAX_LAG_WINDOWS)]:
        correlation = _correlate_phases(
            source.read(start, LAG_WINDOW_SECONDS), target.read(start, LAG_WINDOW_SECONDS)
        )
        candidates = np.abs(np.concatenate([correlation[-early:], correlation[: late + 1]]))
        best = int(candidates.argmax())
        is_clear = candidates[best] >= MIN_LAG_SCORE
        yield (best - early) / RATE if is_clear else None


def _correlate_phases(source: _Samples, target: _Samples) -> _Samples:
    """Return the correlation of the phases by lag of *target*, negative lags at the end.

    1 or -1 where all frequencies agree; 0 everywhere if one of the two has no signal.
    """
    size = 1 << (len(source) + len(target) - 1).bit_length()
    if min(_measure_rms(source), _measure_rms(target)) < _MIN_RMS:
        return np.zeros(size, np.float32)
    taper = np.hanning(len(target)).astype(np.float32)
    source_spectrum = np.fft.rfft(source * taper, size)
    target_spectrum = np.fft.rfft(target * taper, size)
    frequencies = np.fft.rfftfreq(size, 1 / RATE)
    carries = (frequencies >= _BAND_HZ[0]) & (frequencies <= _BAND_HZ[1])
    for spectrum in (source_spectrum, target_spectrum):
        power: NDArray[np.float64] = np.abs(spectrum) ** 2
        carries &= power >= _MIN_POWER_SHARE * float(power[carries].max(initial=0.0))
    cross = target_spectrum * source_spectrum.conj()
    magnitude = np.abs(cross)
    phases = np.where(carries & (magnitude > 0), cross / np.maximum(magnitude, 1e-30), 0)
    scale = size / 2 / max(1, int(np.count_nonzero(carries)))
    correlation: _Samples = (np.fft.irfft(phases, size) * scale).astype(np.float32)
    return correlation


def _measure_rms(samples: _Samples) -> float:
    return float(np.sqrt(np.mean(np.square(samples)))) if len(samples) else 0.0
