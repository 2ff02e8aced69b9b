"""Puts the words of chunks behind one another, and those that two chunks heard, only once.

Where a cut had to fall into speech, both windows hear a few seconds. The two hearings are
aligned, and the transcript goes over from one to the other in the middle of what they agree on:
the words nearest to a window's edge were cut in half and are the least to be trusted; what the
other window does not know of them is left out. Where the hearings differ amid what they agree on,
the one that is clearly surer is believed, as in NIST's ROVER (Fiscus 1997) with two systems.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from operator import attrgetter

from transcripts.joins import folded, smooth, united
from transcripts.types import Span, Word

#: Windows that overlap by less than this only touch: no word was heard twice (seconds).
TOUCHING = 0.1
#: Two hearings of one word differ by less than this, at its start or at its end (seconds).
SAME_TIME = 0.5
#: A word is heard by one window only if the other has no word this near (seconds).
ALONE = 0.3
#: A window that has words this near is trusted to have heard where the other broke off (seconds).
AWAKE = 1.5
#: A word this near to where its window was cut off may be the half of one (seconds); never more
#: than a quarter of what the windows share.
DOUBTFUL = 0.3
#: No word goes on for longer than this (seconds).
LONGEST_WORD = 3.0
#: Long overlaps are aligned only this far on both sides of their middle, where the cut will be.
REACH = 10.0
#: Of two hearings that differ, one is believed if its confidence is higher by so much. Less says
#: little: with PocketSphinx 0.1 errs as often as it helps, 0.4 helped in 3 words of 800.
SURER = 0.4
#: So many agreeing neighbours on each side make a word as good a place to cut as any.
ENOUGH_SUPPORT = 2
#: Of places with equal support, one is worth going so many times farther from the middle for, as
#: the times of the word there differ less: what is the same only by chance is far apart.
SECONDS_WORTH = 5.0
#: Without agreement, a second nearer to the middle is worth so many seconds cut off a word.
WORTH_A_SECOND = 0.05
#: So many words on each side tell how capitals and full stops are written.
EVIDENCE = 60

_start = attrgetter("start")

#: Positions of one word in the two hearings.
_Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class HeardChunk:
    """What was heard in one window of the recording; all times are recording time."""

    window: Span
    words: tuple[Word, ...]


def shift(words: Iterable[Word], offset: float) -> tuple[Word, ...]:
    """The same words, *offset* seconds later."""
    return tuple(replace(word, start=word.start + offset, end=word.end + offset) for word in words)


def stitch(chunks: Sequence[HeardChunk]) -> tuple[Word, ...]:
    """All words once, by start; times lie in the words' windows and starts never go back.

    Windows may lie apart, touch or overlap, in recording order. No word is lost where they do not
    overlap; a chunk that lies wholly inside what was heard before it adds nothing. Capitals and
    full stops that come only from a cut go where that can be told.
    """
    told: list[Word] = []
    reach = -math.inf
    for chunk in chunks:
        window = chunk.window
        if window.start < reach and window.end <= reach:
            continue
        words = _inside(chunk)
        if window.start < reach - TOUCHING:
            words = _crossing(told, words, Span(window.start, reach))
        elif told and words:
            told[-1], words[0] = smooth(told[-EVIDENCE:], words[:EVIDENCE])
        told.extend(words)
        reach = window.end
    return tuple(_forward(told))


def _inside(chunk: HeardChunk) -> list[Word]:
    """The words by start, with times that are numbers inside the window.

    Engines answer with times past the end of the audio, with none at all, and with ends before
    starts. Where a word begins a little before the one ahead of it, the time is wrong and not the
    order of the words.
    """
    window, now = chunk.window, chunk.window.start
    words: list[Word] = []
    for word in chunk.words:
        start = min(max(word.start, window.start), window.end) if _is_time(word.start) else now
        if words and start < words[-1].start <= start + SAME_TIME:
            start = words[-1].start
        now = min(max(word.end, start), window.end) if _is_time(word.end) else start
        insort(words, _timed(word, start, now), key=_start)
    return words


def _is_time(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _timed(word: Word, start: float, end: float) -> Word:
    unchanged = word.start == start and word.end == end
    return word if unchanged else replace(word, start=start, end=end)


def _forward(words: Iterable[Word]) -> Iterable[Word]:
    """Starts that never go back, without changing the order of the words."""
    now = -math.inf
    for word in words:
        now = max(now, word.start)
        yield _timed(word, now, max(now, word.end))


def _crossing(told: list[Word], coming: list[Word], zone: Span) -> list[Word]:
    """Take the doubled words off the end of *told* and give back those that go on from there."""
    # The word that one hearing has cut in half may lie just outside the zone in the other.
    doubled = bisect_left(told, zone.start - LONGEST_WORD, key=_start)
    settled = bisect_right(coming, zone.end + ALONE, key=_start)
    before, after, rest = told[doubled:], coming[:settled], coming[settled:]
    del told[doubled:]

    pairs = _agreement(before, after, zone)
    if _take_the_surer(before, after, pairs):
        pairs = _agreement(before, after, zone)
    left, right = _cut_in_agreement(pairs, before, after, zone) or _cut_in_pause(
        before, after, zone
    )
    known_left, known_right = {i for i, _ in pairs}, {j for _, j in pairs}
    sure = _sure(zone)
    halves_left = [i for i in range(left, len(before)) if before[i].end > sure.end]
    halves_right = [j for j in range(right) if after[j].start < sure.start]
    only_before = _alone(before, range(left, len(before)), known_left, halves_left, after)
    only_after = _alone(after, range(right), known_right, halves_right, before)
    if (left - 1, right - 1) in pairs:
        before[left - 1] = united(before[left - 1], after[right - 1])
    elif left and right < len(after):
        before[left - 1], after[right] = smooth(before[:left], after[right:])
    return [
        *merge(before[:left], only_after, key=_start),
        *merge(after[right:], only_before, key=_start),
        *rest,
    ]


def _agreement(before: Sequence[Word], after: Sequence[Word], zone: Span) -> list[_Pair]:
    """The best chain of words that both hearings have at the same time, in the same order."""
    pairs, worth = _same_words(before, after, zone)
    best = list(worth)
    previous = [-1] * len(pairs)
    for this, (i, j) in enumerate(pairs):
        for other in range(this):
            fits = pairs[other][0] < i and pairs[other][1] < j
            if fits and best[other] + worth[this] > best[this]:
                best[this], previous[this] = best[other] + worth[this], other

    chain = []
    at = max(range(len(pairs)), key=best.__getitem__, default=-1)
    while at >= 0:
        chain.append(pairs[at])
        at = previous[at]
    return chain[::-1]


def _take_the_surer(before: list[Word], after: list[Word], pairs: Sequence[_Pair]) -> bool:
    """Where they differ between two words that they share, give both the words of the surer one.

    Returns whether any were given. Words beyond the shared ones stay: there the cut decides, since
    a word that was cut in half may be heard wrongly without a doubt.
    """
    given = False
    shared = zip(pairs[-2::-1], pairs[:0:-1], strict=True)  # from the end: indices ahead stay
    for (first, first_after), (last, last_after) in shared:
        here, there = slice(first + 1, last), slice(first_after + 1, last_after)
        lead = _sureness(before[here]) - _sureness(after[there])
        if lead >= SURER:
            after[there] = _between(before[here], after[first_after], after[last_after])
        elif lead <= -SURER:
            before[here] = _between(after[there], before[first], before[last])
        given = given or abs(lead) >= SURER
    return given


def _sureness(words: Sequence[Word]) -> float:
    """Mean confidence; NaN, which leads nothing, if there are no words or one has none."""
    known = [math.nan if word.confidence is None else word.confidence for word in words]
    return sum(known) / len(known) if known else math.nan


def _between(words: Sequence[Word], first: Word, last: Word) -> list[Word]:
    """The words with times that keep them in this order."""
    starts = [min(max(word.start, first.start), last.start) for word in words]
    return [
        _timed(word, start, max(word.end, start)) for word, start in zip(words, starts, strict=True)
    ]


def _same_words(
    before: Sequence[Word], after: Sequence[Word], zone: Span
) -> tuple[list[_Pair], list[float]]:
    """Every pair that may be one word, and how much it is worth: 1, and up to 1 for its times.

    The times decide between "no, no" and "no, no, no". What may be the half of a word is worth
    half, and a pair of two halves nothing.
    """
    heard_before, heard_after = _in_middle(before, zone), _in_middle(after, zone)
    sure = _sure(zone)
    pairs, worth = [], []
    for i in heard_before:
        for j in heard_after:
            apart = _apart(before[i], after[j])
            if apart < SAME_TIME and folded(before[i].text) == folded(after[j].text):
                halves = (before[i].end > sure.end) + (after[j].start < sure.start)
                if halves < 2:
                    pairs.append((i, j))
                    off = apart if halves else _off(before[i], after[j])
                    worth.append((1 + max(0.0, 1 - off / SAME_TIME)) * (0.7 if halves else 1))
    return pairs, worth


def _in_middle(words: Sequence[Word], zone: Span) -> list[int]:
    middle = (zone.start + zone.end) / 2
    start, end = max(zone.start, middle - REACH), min(zone.end, middle + REACH)
    return [i for i, word in enumerate(words) if word.end >= start and word.start <= end]


def _sure(zone: Span) -> Span:
    """Where no word is cut in half: the first hearing until its end, the second from its start."""
    edge = min(DOUBTFUL, zone.duration / 4)
    return Span(zone.start + edge, zone.end - edge)


def _apart(one: Word, other: Word) -> float:
    """Seconds between two hearings; one of them may have been cut at either end."""
    return min(abs(one.start - other.start), abs(one.end - other.end))


def _off(one: Word, other: Word) -> float:
    """Seconds between two hearings of a whole word, in the mean of its start and its end."""
    return (abs(one.start - other.start) + abs(one.end - other.end)) / 2


def _cut_in_agreement(
    pairs: list[_Pair], before: Sequence[Word], after: Sequence[Word], zone: Span
) -> _Pair | None:
    """How many words to take of the first hearing and to leave of the second, if they agree."""
    if not pairs:
        return None
    middle = (zone.start + zone.end) / 2
    sure = _sure(zone)
    support = _support(pairs)

    def merit(at: int) -> tuple[int, bool, float]:
        word, other = before[pairs[at][0]], after[pairs[at][1]]
        is_whole = word.end <= sure.end and other.start >= sure.start
        far = abs((word.start + word.end) / 2 - middle)
        return support[at], is_whole, -far - SECONDS_WORTH * _off(word, other)

    i, j = pairs[max(range(len(pairs)), key=merit)]
    return i + 1, j + 1


def _support(pairs: list[_Pair]) -> list[int]:
    """For each pair, how many neighbours on its weaker side agree without a gap."""
    ahead = _run_lengths(pairs, lambda i, j: (i - 1, j - 1))
    behind = _run_lengths(pairs[::-1], lambda i, j: (i + 1, j + 1))[::-1]
    return [min(pair) for pair in zip(ahead, behind, strict=True)]


def _run_lengths(pairs: Sequence[_Pair], neighbour: Callable[[int, int], _Pair]) -> list[int]:
    lengths: dict[_Pair, int] = {}
    for pair in pairs:
        lengths[pair] = min(ENOUGH_SUPPORT, lengths.get(neighbour(*pair), -1) + 1)
    return list(lengths.values())


def _cut_in_pause(before: Sequence[Word], after: Sequence[Word], zone: Span) -> _Pair:
    """The hearings have no word in common: change over where the least of words is split."""
    middle, sure = (zone.start + zone.end) / 2, _sure(zone)
    near = [*(before[i] for i in _in_middle(before, zone))]
    near += [after[j] for j in _in_middle(after, zone)]
    times = [time for word in near for time in (word.start, word.end)]

    def harm(time: float) -> tuple[float, float]:
        split = sum(max(0.0, min(time - word.start, word.end - time)) for word in near)
        return split + WORTH_A_SECOND * abs(time - middle), time

    time = min((middle, *(time for time in times if sure.start <= time <= sure.end)), key=harm)
    return _said_before(before, time), _said_before(after, time)


def _said_before(words: Sequence[Word], time: float) -> int:
    """How many words lie, for the greater part, before *time*."""
    return next(
        (i for i, word in enumerate(words) if (word.start + word.end) / 2 >= time), len(words)
    )


def _alone(
    words: Sequence[Word],
    dropped: range,
    known: Container[int],
    halves: Container[int],
    others: Sequence[Word],
) -> list[Word]:
    """Those of the dropped words that the other hearing missed altogether.

    What may be the half of a word is kept only if the other hears nothing far and wide.
    """
    return [
        words[i]
        for i in dropped
        if i not in known and not _is_near(words[i], others, AWAKE if i in halves else ALONE)
    ]


def _is_near(word: Word, others: Sequence[Word], within: float) -> bool:
    first = bisect_left(others, word.start - LONGEST_WORD - within, key=_start)
    last = bisect_left(others, word.end + within, key=_start)
    return any(other.end > word.start - within for other in others[first:last])
