"""Where to cut a recording. Pure functions of the speech that was found.

A cut is best in the longest pause that lies near the wished length. So every pause gets a price
that falls smoothly with its length, every window one that grows with its distance from the wished
length, and the cheapest way through the recording is taken (dynamic programming, as Knuth and
Plass break paragraphs into lines). Prices are smooth, so there is no pause length at which the
windows suddenly look different, and the last window is no sliver.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from functools import partial

from chunking.way import Cut, Way
from transcripts.types import Span


@dataclass(frozen=True, slots=True)
class PlanSettings:
    """How windows should look; all in seconds."""

    #: Wished length of a window.
    chunk_duration: float = 30.0
    #: What two windows share where the cut falls into speech.
    chunk_overlap: float = 5.0
    #: A pause of this length is a good place to cut; longer ones are little better.
    min_silence_duration: float = 0.5
    #: No window is longer. None: 1.2 times `chunk_duration`.
    max_chunk_duration: float | None = None
    #: Longest silence kept at both ends of a window: engines adapt to the room on it.
    edge_silence: float = 0.8
    #: A longer silence is in no window: it costs more than another window.
    longest_silence: float = 6.0

    def __post_init__(self) -> None:
        if self.chunk_duration <= 0:
            raise ValueError("chunk_duration must be above 0")
        if self.longest < self.chunk_duration:
            raise ValueError("max_chunk_duration must be at least chunk_duration")
        if not 0 <= self.chunk_overlap <= self.chunk_duration / 2:
            raise ValueError("chunk_overlap must be between 0 and half of chunk_duration")
        if self.edge_silence < 0 or self.min_silence_duration <= 0:
            raise ValueError("silences must not be negative")

    @property
    def longest(self) -> float:
        """Length that no window exceeds."""
        if self.max_chunk_duration is None:
            return 1.2 * self.chunk_duration
        return self.max_chunk_duration


#: Long windows for diarization, which tells speakers better the more of them it hears at once.
SHARD_TARGET = 1500.0
_SHARD_SETTINGS = PlanSettings(
    chunk_duration=SHARD_TARGET,
    chunk_overlap=0.0,
    min_silence_duration=2.0,
    edge_silence=1.0,
    longest_silence=300.0,
)
DEFAULT_SETTINGS = PlanSettings()

#: Price of a cut in a pause of no length at all, where a window of no length costs 1.
_PAUSE_PRICE = 0.3
#: Price of a window of the greatest length.
_LONGEST_PRICE = 0.25
#: Price of a cut into speech: twice that of the worst pause.
_SPEECH_PRICE = 0.6
#: So many places to cut are looked at in one wished length; more add time, not quality.
_GRAIN = 60
#: The same inside of speech, where one place is as good as another.
_SPEECH_GRAIN = 30


@dataclass(frozen=True, slots=True)
class Window:
    """A part of the recording to be worked on alone; seconds from its start."""

    start: float
    end: float
    #: Seconds that it shares with the next window: 0 unless the cut fell into speech.
    overlap: float = 0.0

    @property
    def duration(self) -> float:
        """Seconds, what is shared with the neighbours included."""
        return self.end - self.start


def plan(
    speech: Sequence[Span], duration: float, settings: PlanSettings = DEFAULT_SETTINGS
) -> tuple[Window, ...]:
    """Return the windows of a recording of *duration* seconds, in order.

    Every moment of speech lies in a window, and no window is longer than the maximum. Windows
    overlap only where a cut fell into speech, which happens only where speech goes on for longer
    than a window may last. No speech, no window. A recording that is not longer than a window
    should be is one window, for not to cut is the best cut.
    """
    spans = _tidy(speech, duration)
    if not spans:
        return ()
    if duration <= settings.chunk_duration:
        return (Window(0.0, duration),)
    planner = Planner(settings)
    planner.feed(spans)
    return (*planner.settled(), *planner.finish(duration))


class Planner:
    """Plans while the recording still comes in; all it tells together is what `plan` returns.

    Only for recordings that are longer than one window should be.
    """

    def __init__(self, settings: PlanSettings = DEFAULT_SETTINGS) -> None:
        self._settings = settings
        self._last: Span | None = None
        #: Through what lies between two long silences; None before the first word.
        self._way: Way | None = None
        #: Places close to each other, of which few are kept.
        self._close: list[Cut] = []
        self._windows: list[Window] = []

    def feed(self, speech: Iterable[Span]) -> None:
        """Take the next stretches of speech, in order and apart from each other."""
        for span in speech:
            if self._last is None:
                self._begin(span, 2 * span.start)
            else:
                self._pause(self._last, span)
            self._add(_cuts_in_speech(span, self._settings))
            self._last = span

    def settled(self) -> list[Window]:
        """Return the windows that nothing can change any more, and that were not told before."""
        if self._way is not None:
            self._windows += _windows(self._way.settled(), self._settings)
        told, self._windows = self._windows, []
        return told

    def finish(self, duration: float) -> list[Window]:
        """Return the rest, for a recording of *duration* seconds."""
        if self._last is not None:
            self._end(self._last, 2 * (duration - self._last.end))
        told, self._windows = self._windows, []
        return told

    def _begin(self, first: Span, before: float) -> None:
        """Begin with speech, *before* which there are seconds of silence."""
        # Only half of a silence belongs to each of its neighbours.
        start = Cut(0.0, first.start, min(self._settings.edge_silence, before / 2), 0.0)
        self._way = Way(start, self._settings.longest, partial(_length_price, self._settings))

    def _pause(self, last: Span, following: Span) -> None:
        silence = following.start - last.end
        if silence > self._settings.longest_silence:
            self._end(last, silence)
            self._begin(following, silence)
        else:
            self._add([_cut_in_pause(last.end, following.start, self._settings)])

    def _end(self, last: Span, after: float) -> None:
        """End with speech, *after* which there are seconds of silence."""
        end = Cut(last.end, math.inf, min(self._settings.edge_silence, after / 2), 0.0)
        self._thin_out()
        assert self._way is not None
        self._way.add(end)
        self._windows += _windows(self._way.finish(), self._settings)

    def _add(self, cuts: Iterable[Cut]) -> None:
        grain = self._settings.chunk_duration / _GRAIN
        for cut in cuts:
            if self._close and self._close[0].ends // grain != cut.ends // grain:
                self._thin_out()
            self._close.append(cut)

    def _thin_out(self) -> None:
        """Keep, of places close to each other, the best one, the first and the last.

        So the work grows with the length of the recording, not with the square of its pauses; and
        what lies between two neighbours is still one stretch of speech or shorter than the grain.
        """
        assert self._way is not None
        prices = [cut.price for cut in self._close]
        kept = {0, prices.index(min(prices)), len(prices) - 1} if prices else set()
        for index in sorted(kept):
            self._way.add(self._close[index])
        self._close.clear()


def shards(
    speech: Sequence[Span], duration: float, target: float = SHARD_TARGET
) -> tuple[Window, ...]:
    """Return windows of about *target* seconds for diarization, cut in long silences.

    Up to 1.2 times *target* the whole recording is one shard. Shards do not overlap, not even
    where somebody talks without a pause for so long. No speech, no shard.
    """
    settings = replace(_SHARD_SETTINGS, chunk_duration=target)
    spans = _tidy(speech, duration)
    if spans and duration <= settings.longest:
        return (Window(0.0, duration),)
    return plan(spans, duration, settings)


def _tidy(speech: Iterable[Span], duration: float) -> list[Span]:
    """Put spans in order, inside the recording and apart from each other."""
    tidy: list[Span] = []
    for span in sorted(speech, key=lambda span: (span.start, span.end)):
        start, end = max(0.0, span.start), min(duration, span.end)
        if end <= start:
            continue
        if tidy and start <= tidy[-1].end:
            tidy[-1] = Span(tidy[-1].start, max(end, tidy[-1].end))
        else:
            tidy.append(Span(start, end))
    return tidy


def _cut_in_pause(ends: float, begins: float, settings: PlanSettings) -> Cut:
    pause = begins - ends
    price = _PAUSE_PRICE * math.exp(-pause / settings.min_silence_duration)
    return Cut(ends, begins, min(settings.edge_silence, pause / 2), price)


def _cuts_in_speech(span: Span, settings: PlanSettings) -> Iterator[Cut]:
    """Yield places in speech that has no pause for longer than a window may last."""
    if span.duration <= settings.longest:
        return
    step = settings.chunk_duration / _SPEECH_GRAIN
    half = settings.chunk_overlap / 2
    for number in range(1, math.ceil(span.duration / step)):
        middle = span.start + number * step
        begins, ends = middle - half, middle + half
        # The window on either side must gain something by the cut.
        if span.start < begins and ends < span.end:
            yield Cut(ends, begins, 0.0, _SPEECH_PRICE)


def _length_price(settings: PlanSettings, length: float) -> float:
    target = settings.chunk_duration
    if length <= target:
        return ((target - length) / target) ** 2
    return _LONGEST_PRICE * ((length - target) / (settings.longest - target)) ** 2


def _windows(pairs: Iterable[tuple[Cut, Cut]], settings: PlanSettings) -> Iterator[Window]:
    for first, last in pairs:
        room = settings.longest - (last.ends - first.begins)
        edges = first.edge + last.edge
        # Near the maximum both edges give way alike.
        share = min(1.0, max(0.0, room) / edges) if edges else 0.0
        start = first.begins - share * first.edge
        end = last.ends + share * last.edge
        yield Window(start, end, last.overlap)
