"""Find channels that are copies of others: dual mono, or one microphone on two recorders.

A copy may be delayed, quieter, filtered, inverted or carry a short echo. All of these are one
linear filter that does not change, so it is estimated from the whole recording (Wiener filter, from
averaged cross spectra). A channel is a copy if the filter explains it everywhere. Two people who
are on both channels are no copy, however similar the channels are: which channel is louder changes
with the speaker. Neither is a channel on which somebody else gives a short answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from chunking.vad.similarity import ChannelReader, Starts, find_lag
from chunking.vad.speech import Flags, find_runs
from transcripts.types import Interval

#: Length of the windows that are compared, and the distance of their starts (seconds).
WINDOW_SECONDS, HOP_SECONDS = 1.0, 0.25
#: Share of a window's power that the filter explains where nobody else speaks: at least the first,
#: and the second where it explains nearly all of the recording. The rest is noise and codecs.
MIN_EXPLAINED, MIN_EXPLAINED_OF_EXACT = 0.8, 0.95
#: So many times as much as usual may be unexplained.
_UNEXPLAINED_FACTOR = 6.0
#: Least share of the windows with speech that the filter explains so far.
MIN_SHARE = 0.97
#: Consecutive windows below it in which somebody else speaks: a short answer covers three.
MAX_STRANGE_WINDOWS = 2
#: The gain of the filter varies less than this (dB) between nearly all windows of a copy.
MAX_GAIN_RANGE_DB = 0.7
_GAIN_PERCENTILES = (5, 95)
#: Windows quieter than the loud ones by more than this are not judged (dB): a copy has noise of its
#: own.
MAX_QUIETER_DB = 25.0
_LOUD_PERCENTILE = 95
#: One of two equal signals is the original if it is earlier by this (seconds), or louder (dB).
_EARLIER_SECONDS, _LOUDER_DB = 0.002, 1.0
#: Windows from which the filter is estimated, at most, and at least.
_MAX_FILTER_WINDOWS, _MIN_WINDOWS = 400, 4

#: Frequencies that carry most of speech, and that codecs keep (150 to 3000 Hz).
_BINS = slice(round(150 * WINDOW_SECONDS), round(3_000 * WINDOW_SECONDS))

_Spectrum = NDArray[np.complex64]


def find_copies(
    channel_paths: Sequence[Path], speech: Sequence[Sequence[Interval]]
) -> tuple[int | None, ...]:
    """Return for each channel the one that it is a copy of, counted from 0; None for an original.

    *channel_paths* hold 16 kHz mono 16-bit samples without a header; *speech* says where each has
    speech. A channel without speech is nobody's copy.
    """
    readers = [ChannelReader(path) for path in channel_paths]
    count = max((_count_windows(reader.seconds) for reader in readers), default=0)
    spoken = [_mark_windows(intervals, count) for intervals in speech]
    originals: list[int | None] = [None] * len(readers)
    for first, second in combinations(range(len(readers)), 2):
        if originals[first] is None and originals[second] is None:
            copy = _find_copy(readers, spoken, first, second)
            if copy is not None:
                originals[copy] = first + second - copy
    return tuple(_follow(originals, channel) for channel in range(len(readers)))


def _find_copy(
    readers: Sequence[ChannelReader], spoken: Sequence[Flags], first: int, second: int
) -> int | None:
    """Return which of two channels is a copy of the other; None if both have their own speech."""
    compared = spoken[first] | spoken[second]
    if min(np.count_nonzero(spoken[first]), np.count_nonzero(spoken[second])) < _MIN_WINDOWS:
        return None
    starts: Starts = np.flatnonzero(compared) * np.float64(HOP_SECONDS)
    lag = find_lag(readers[first], readers[second], starts)
    if lag is None or not _is_filtered(readers[first], readers[second], starts, lag):
        return None
    if abs(lag) > _EARLIER_SECONDS:
        return second if lag > 0 else first
    louder = _measure_level(readers[second], starts) - _measure_level(readers[first], starts)
    return first if louder > _LOUDER_DB else second


def _is_filtered(source: ChannelReader, target: ChannelReader, starts: Starts, lag: float) -> bool:
    """Return whether one filter makes all of *target* out of *source*, which is *lag* earlier."""
    # Channels that are no copies show that in a few windows; only copies are compared to the end.
    sample = starts[:: max(1, len(starts) // _MAX_FILTER_WINDOWS)]
    response = _estimate_filter(source, target, sample, lag)
    compared = (sample, starts) if len(sample) < len(starts) else (starts,)
    return all(_explains(source, target, windows, lag, response) for windows in compared)


def _explains(
    source: ChannelReader, target: ChannelReader, starts: Starts, lag: float, response: _Spectrum
) -> bool:
    """Return whether the filter explains *target* in these windows, with nearly the same gain."""
    explained, gains, levels = (
        np.array(column)
        for column in zip(*_judge_windows(source, target, starts, lag, response), strict=True)
    )
    is_judged = levels >= np.percentile(levels, _LOUD_PERCENTILE) - MAX_QUIETER_DB
    usual = float(np.median(explained[is_judged]))
    least = 1 - _UNEXPLAINED_FACTOR * (1 - usual)
    is_strange = is_judged & (explained < np.clip(least, MIN_EXPLAINED, MIN_EXPLAINED_OF_EXACT))
    if np.count_nonzero(is_strange) > (1 - MIN_SHARE) * np.count_nonzero(is_judged):
        return False
    if any(end - start > MAX_STRANGE_WINDOWS for start, end in find_runs(is_strange)):
        return False
    low, high = np.percentile(gains[is_judged], _GAIN_PERCENTILES)
    return bool(low > 0 and 20 * np.log10(high / low) <= MAX_GAIN_RANGE_DB)


def _estimate_filter(
    source: ChannelReader, target: ChannelReader, starts: Starts, lag: float
) -> _Spectrum:
    """Return the frequency response of the filter."""
    count = _BINS.stop - _BINS.start
    cross, power = np.zeros(count, np.complex64), np.full(count, 1e-12, np.float32)
    for source_spectrum, target_spectrum in _read_spectra(source, target, starts, lag):
        cross += target_spectrum * source_spectrum.conj()
        power += np.abs(source_spectrum) ** 2
    response: _Spectrum = cross / power
    return response


def _judge_windows(
    source: ChannelReader,
    target: ChannelReader,
    starts: Starts,
    lag: float,
    response: _Spectrum,
) -> Iterator[tuple[float, float, float]]:
    """Yield for each window the explained share of its power, the filter's gain, and its level."""
    for source_spectrum, target_spectrum in _read_spectra(source, target, starts, lag):
        predicted = response * source_spectrum
        agreement = float(np.vdot(predicted, target_spectrum).real)
        predicted_power = float(np.vdot(predicted, predicted).real) + 1e-12
        power = float(np.vdot(target_spectrum, target_spectrum).real) + 1e-12
        yield (
            agreement**2 / (predicted_power * power),
            agreement / predicted_power,
            10 * np.log10(power),
        )


def _read_spectra(
    source: ChannelReader, target: ChannelReader, starts: Starts, lag: float
) -> Iterator[tuple[_Spectrum, _Spectrum]]:
    for start in starts:
        pair = source.read(start - lag, WINDOW_SECONDS), target.read(start, WINDOW_SECONDS)
        taper = np.hanning(len(pair[0])).astype(np.float32)
        first, second = (np.fft.rfft(samples * taper)[_BINS] for samples in pair)
        yield first.astype(np.complex64), second.astype(np.complex64)


def _measure_level(reader: ChannelReader, starts: Starts) -> float:
    """Return the usual level of the windows (dBFS)."""
    windows = (reader.read(start, WINDOW_SECONDS) for start in starts)
    return float(np.median([10 * np.log10(np.mean(samples**2) + 1e-12) for samples in windows]))


def _mark_windows(intervals: Sequence[Interval], count: int) -> Flags:
    """Mark the windows that are speech for half of their length or more."""
    seconds = np.zeros(count)
    for interval in intervals:
        first = max(0, int((interval.start - WINDOW_SECONDS) / HOP_SECONDS))
        last = min(count, int(interval.end / HOP_SECONDS) + 1)
        starts = np.arange(first, last) * HOP_SECONDS
        overlap = np.minimum(interval.end, starts + WINDOW_SECONDS) - np.maximum(
            interval.start, starts
        )
        seconds[first:last] += np.maximum(overlap, 0.0)
    return seconds >= WINDOW_SECONDS / 2


def _count_windows(seconds: float) -> int:
    return int(seconds / HOP_SECONDS) + 1


def _follow(originals: Sequence[int | None], channel: int) -> int | None:
    """Return the channel that a copy of a copy comes from."""
    original = originals[channel]
    while original is not None and originals[original] is not None:
        original = originals[original]
    return original
