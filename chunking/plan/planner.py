"""Plan the cuts of a recording. Pure functions of the detected speech.

The best cut lies in the longest pause near the target length. So every pause has a price that falls
smoothly with its length. Every window has a price that grows with its distance from the target
length. The cheapest path through the recording is chosen (dynamic programming, as Knuth and Plass
break paragraphs into lines). Since prices are smooth, no threshold of the pause length changes the
windows abruptly, and the last window is not very short.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from chunking.plan.shortest_path import Cut, ShortestPath
from core.config import cutting_defaults
from transcripts.intervals import clip_intervals, merge_intervals
from transcripts.types import Interval


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """Target shape of the windows; all in seconds."""

    #: Target length of a window.
    chunk_duration: float = cutting_defaults.CHUNK_SECONDS
    #: Overlap of two windows where the cut falls into speech.
    chunk_overlap: float = cutting_defaults.OVERLAP_SECONDS
    #: A pause of this length is a good place to cut; longer ones are little better.
    min_silence_duration: float = cutting_defaults.MIN_SILENCE_SECONDS
    #: Maximum length of a window. None: 1.2 times `chunk_duration`.
    max_chunk_duration: float | None = None
    #: Longest silence kept at both ends of a window; engines adapt to the room noise in it.
    edge_silence: float = 0.8
    #: A longer silence is left out of all windows: it would cost more than another window.
    longest_silence: float = 6.0

    def __post_init__(self) -> None:
        if self.chunk_duration <= 0:
            raise ValueError("chunk_duration must be above 0")
        if self.max_duration < self.chunk_duration:
            raise ValueError("max_chunk_duration must be at least chunk_duration")
        if not 0 <= self.chunk_overlap <= self.chunk_duration / 2:
            raise ValueError("chunk_overlap must be between 0 and half of chunk_duration")
        if self.edge_silence < 0 or self.min_silence_duration <= 0:
            raise ValueError("silences must not be negative")

    @property
    def max_duration(self) -> float:
        """Return the maximum length of a window."""
        if self.max_chunk_duration is None:
            return 1.2 * self.chunk_duration
        return self.max_chunk_duration


#: Long windows for diarization.
_SHARD_SETTINGS = PlanSettings(
    chunk_duration=cutting_defaults.SHARD_SECONDS,
    chunk_overlap=0.0,
    min_silence_duration=2.0,
    edge_silence=1.0,
    longest_silence=300.0,
)
DEFAULT_SETTINGS = PlanSettings()

#: Price of a cut in a pause of zero length; a window of zero length costs 1.
_PAUSE_PRICE = 0.3
#: Price of a window of the maximum length.
_MAX_LENGTH_PRICE = 0.25
#: Price of a cut into speech: twice that of the worst pause.
_SPEECH_PRICE = 0.6
#: Places to cut that are considered per target length; more add time, not quality.
_CUTS_PER_WINDOW = 60
#: The same within speech, where all places are equally good.
_SPEECH_CUTS_PER_WINDOW = 30


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the recording that is processed separately; seconds from the start."""

    start: float
    end: float
    #: Seconds shared with the next window: 0 unless the cut fell into speech.
    overlap: float = 0.0

    @property
    def duration(self) -> float:
        """Return the length in seconds, including overlaps."""
        return self.end - self.start


def plan_windows(
    speech: Sequence[Interval], duration: float, settings: PlanSettings = DEFAULT_SETTINGS
) -> tuple[Window, ...]:
    """Return the windows of a recording of *duration* seconds, in order.

    All speech lies in a window, and no window is longer than the maximum. Windows overlap only
    where a cut falls into speech, which happens only where speech lasts longer than the maximum.
    Without speech there is no window. A recording up to the target length is one window, since no
    cut is the best cut.
    """
    intervals = merge_intervals(clip_intervals(speech, 0.0, duration))
    if not intervals:
        return ()
    if duration <= settings.chunk_duration:
        return (Window(0.0, duration),)
    planner = Planner(settings)
    planner.feed(intervals)
    return (*planner.pop_settled(), *planner.finish(duration))


class Planner:
    """Plans windows while the recording is still being decoded.

    All popped windows together are the result of `plan_windows`. Only for recordings longer than
    the target length of a window.
    """

    def __init__(self, settings: PlanSettings = DEFAULT_SETTINGS) -> None:
        self._settings = settings
        self._last: Interval | None = None
        #: Path between two long silences; None before the first speech.
        self._path: ShortestPath | None = None
        #: Places close to each other; only a few of them are kept.
        self._nearby_cuts: list[Cut] = []
        self._windows: list[Window] = []

    def feed(self, speech: Iterable[Interval]) -> None:
        """Add the next intervals of speech, in order and separate from each other."""
        for interval in speech:
            if self._last is None:
                self._start_path(interval, 2 * interval.start)
            else:
                self._add_pause(self._last, interval)
            self._add_cuts(_find_speech_cuts(interval, self._settings))
            self._last = interval

    def pop_settled(self) -> list[Window]:
        """Return the windows that are final and were not popped before."""
        if self._path is not None:
            self._windows += _build_windows(self._path.pop_settled(), self._settings)
        windows, self._windows = self._windows, []
        return windows

    def finish(self, duration: float) -> list[Window]:
        """Return the remaining windows of a recording of *duration* seconds."""
        if self._last is not None:
            self._end_path(self._last, 2 * (duration - self._last.end))
        windows, self._windows = self._windows, []
        return windows

    def _start_path(self, first: Interval, silence: float) -> None:
        """Start a path at speech that *silence* seconds of silence precede."""
        # Only half of a silence belongs to each of its neighbours.
        start = Cut(0.0, first.start, min(self._settings.edge_silence, silence / 2), 0.0)
        self._path = ShortestPath(
            start, self._settings.max_duration, partial(_compute_length_price, self._settings)
        )

    def _add_pause(self, last: Interval, following: Interval) -> None:
        silence = following.start - last.end
        if silence > self._settings.longest_silence:
            self._end_path(last, silence)
            self._start_path(following, silence)
        else:
            self._add_cuts([_build_pause_cut(last.end, following.start, self._settings)])

    def _end_path(self, last: Interval, silence: float) -> None:
        """End the path at speech that *silence* seconds of silence follow."""
        end = Cut(last.end, math.inf, min(self._settings.edge_silence, silence / 2), 0.0)
        self._thin_out()
        assert self._path is not None
        self._path.add(end)
        self._windows += _build_windows(self._path.finish(), self._settings)

    def _add_cuts(self, cuts: Iterable[Cut]) -> None:
        grain = self._settings.chunk_duration / _CUTS_PER_WINDOW
        for cut in cuts:
            if self._nearby_cuts and self._nearby_cuts[0].ends // grain != cut.ends // grain:
                self._thin_out()
            self._nearby_cuts.append(cut)

    def _thin_out(self) -> None:
        """Keep the best, the first and the last of several places close to each other.

        So the work grows with the length of the recording, not with the square of its pauses. The
        audio between two neighbours is still one interval of speech or shorter than the grain.
        """
        assert self._path is not None
        prices = [cut.price for cut in self._nearby_cuts]
        selected = {0, prices.index(min(prices)), len(prices) - 1} if prices else set()
        for index in sorted(selected):
            self._path.add(self._nearby_cuts[index])
        self._nearby_cuts.clear()


def plan_shards(
    speech: Sequence[Interval], duration: float, target: float = cutting_defaults.SHARD_SECONDS
) -> tuple[Window, ...]:
    """Return windows of about *target* seconds for diarization, cut in long silences.

    A recording of up to 1.2 times *target* is one shard. Shards never overlap, even if there is no
    pause for that long. Without speech there is no shard.
    """
    settings = replace(_SHARD_SETTINGS, chunk_duration=target)
    intervals = merge_intervals(clip_intervals(speech, 0.0, duration))
    if intervals and duration <= settings.max_duration:
        return (Window(0.0, duration),)
    return plan_windows(intervals, duration, settings)


def _build_pause_cut(ends: float, begins: float, settings: PlanSettings) -> Cut:
    pause = begins - ends
    price = _PAUSE_PRICE * math.exp(-pause / settings.min_silence_duration)
    return Cut(ends, begins, min(settings.edge_silence, pause / 2), price)


def _find_speech_cuts(interval: Interval, settings: PlanSettings) -> Iterator[Cut]:
    """Yield places to cut in speech that has no pause for longer than the maximum."""
    if interval.duration <= settings.max_duration:
        return
    step = settings.chunk_duration / _SPEECH_CUTS_PER_WINDOW
    half = settings.chunk_overlap / 2
    for number in range(1, math.ceil(interval.duration / step)):
        middle = interval.start + number * step
        begins, ends = middle - half, middle + half
        # The cut must shorten the window on either side.
        if interval.start < begins and ends < interval.end:
            yield Cut(ends, begins, 0.0, _SPEECH_PRICE)


def _compute_length_price(settings: PlanSettings, length: float) -> float:
    target = settings.chunk_duration
    if length <= target:
        return ((target - length) / target) ** 2
    return _MAX_LENGTH_PRICE * ((length - target) / (settings.max_duration - target)) ** 2


def _build_windows(pairs: Iterable[tuple[Cut, Cut]], settings: PlanSettings) -> Iterator[Window]:
    for first, last in pairs:
        slack = settings.max_duration - (last.ends - first.begins)
        edges = first.edge + last.edge
        # Near the maximum both edges shrink in proportion.
        share = min(1.0, max(0.0, slack) / edges) if edges else 0.0
        start = first.begins - share * first.edge
        end = last.ends + share * last.edge
        yield Window(start, end, last.overlap)
