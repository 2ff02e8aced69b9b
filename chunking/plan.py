"""Where to cut a recording. Pure functions of the speech that was found.

A cut is best in the longest pause that lies near the wished length. So every pause gets a price
that falls smoothly with its length, every window one that grows with its distance from the wished
length, and the cheapest way through the recording is taken (dynamic programming, as Knuth and
Plass break paragraphs into lines). Prices are smooth, so there is no pause length at which the
windows suddenly look different, and the last window is no sliver.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

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


@dataclass(frozen=True, slots=True)
class _Cut:
    """A place where one window may end and the next one begin."""

    #: Where the speech of the window before ends, and where that of the next one begins.
    ends: float
    begins: float
    #: Silence that the windows may have beyond these points.
    edge: float
    price: float

    @property
    def overlap(self) -> float:
        return max(0.0, self.ends - self.begins)


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
    windows: list[Window] = []
    for island in _islands(spans, duration, settings):
        windows += _windows(_best_way(island, settings), settings)
    return tuple(windows)


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


def _islands(
    spans: Sequence[Span], duration: float, settings: PlanSettings
) -> Iterator[list[_Cut]]:
    """Yield the cuts of each stretch that lies between long silences; its ends are cuts too."""
    before = 2 * spans[0].start
    first = 0
    for index, span in enumerate(spans):
        last = index + 1 == len(spans)
        after = 2 * (duration - span.end) if last else spans[index + 1].start - span.end
        if last or after > settings.longest_silence:
            inner = _inner_cuts(spans[first : index + 1], settings)
            # Only half of a silence belongs to each of its neighbours.
            start = _Cut(0.0, spans[first].start, min(settings.edge_silence, before / 2), 0.0)
            end = _Cut(span.end, math.inf, min(settings.edge_silence, after / 2), 0.0)
            yield [start, *inner, end]
            first, before = index + 1, after


def _inner_cuts(spans: Sequence[Span], settings: PlanSettings) -> list[_Cut]:
    cuts: list[_Cut] = []
    for span, following in itertools.zip_longest(spans, spans[1:]):
        cuts += _cuts_in_speech(span, settings)
        if following is not None:
            cuts.append(_cut_in_pause(span.end, following.start, settings))
    return _thinned(cuts, settings.chunk_duration / _GRAIN)


def _cut_in_pause(ends: float, begins: float, settings: PlanSettings) -> _Cut:
    pause = begins - ends
    price = _PAUSE_PRICE * math.exp(-pause / settings.min_silence_duration)
    return _Cut(ends, begins, min(settings.edge_silence, pause / 2), price)


def _cuts_in_speech(span: Span, settings: PlanSettings) -> Iterator[_Cut]:
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
            yield _Cut(ends, begins, 0.0, _SPEECH_PRICE)


def _thinned(cuts: Sequence[_Cut], grain: float) -> list[_Cut]:
    """Keep, of the cuts in each *grain* seconds, the best one, the first and the last.

    So the work grows with the length of the recording, not with the square of its pauses; and
    what lies between two neighbours is still one stretch of speech or shorter than the grain.
    """
    kept: list[_Cut] = []
    for _, group in itertools.groupby(cuts, key=lambda cut: cut.ends // grain):
        few = list(group)
        best = min(range(len(few)), key=lambda index: few[index].price)
        kept += [few[index] for index in sorted({0, best, len(few) - 1})]
    return kept


def _best_way(cuts: Sequence[_Cut], settings: PlanSettings) -> list[_Cut]:
    """Return the cheapest choice of cuts, from the first to the last."""
    prices = [0.0] + [math.inf] * (len(cuts) - 1)
    came_from = [0] * len(cuts)
    for here in range(1, len(cuts)):
        for before in range(here - 1, -1, -1):
            length = cuts[here].ends - cuts[before].begins
            if length > settings.longest:
                break
            price = prices[before] + cuts[here].price + _length_price(length, settings)
            # Of equal ones the longer window, for the sake of fewer.
            if length > 0 and price <= prices[here]:
                prices[here], came_from[here] = price, before
    way = [len(cuts) - 1]
    while way[-1]:
        way.append(came_from[way[-1]])
    return [cuts[index] for index in reversed(way)]


def _length_price(length: float, settings: PlanSettings) -> float:
    target = settings.chunk_duration
    if length <= target:
        return ((target - length) / target) ** 2
    return _LONGEST_PRICE * ((length - target) / (settings.longest - target)) ** 2


def _windows(way: Sequence[_Cut], settings: PlanSettings) -> Iterator[Window]:
    for first, last in itertools.pairwise(way):
        room = settings.longest - (last.ends - first.begins)
        edges = first.edge + last.edge
        # Near the maximum both edges give way alike.
        share = min(1.0, max(0.0, room) / edges) if edges else 0.0
        start = first.begins - share * first.edge
        end = last.ends + share * last.edge
        yield Window(start, end, last.overlap)
