"""Join the words of successive chunks, with the words of an overlap only once.

Where a cut fell into speech, two windows overlap by a few seconds, and both transcriptions have the
words there. The two transcriptions are aligned, and the result changes from the first to the second
in the middle of their agreement. Words nearest to the edge of a window may be cut in half and are
the least reliable; they are dropped unless the other window confirms them. Where the transcriptions
differ between words that they share, the clearly more confident one is used, as in NIST's ROVER
(Fiscus 1997) with two systems.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from heapq import merge
from operator import attrgetter

from transcripts.text.word_joins import merge_words, normalize_word, smooth_boundary
from transcripts.types import Interval, Word

#: Windows that overlap by less than this only touch: no word was transcribed twice (seconds).
MIN_OVERLAP_SECONDS = 0.1
#: Two transcriptions of one word differ by less than this at its start or at its end (seconds).
SAME_TIME_SECONDS = 0.5
#: A word is only in one window if the other window has no word this near (seconds).
ALONE_SECONDS = 0.3
#: A possibly cut word is dropped if the other window has any word this near (seconds).
AWAKE_SECONDS = 1.5
#: A word this near to the edge of its window may be cut in half (seconds); at most a quarter of the
#: overlap.
DOUBTFUL_EDGE_SECONDS = 0.3
#: No word lasts longer than this (seconds).
MAX_WORD_SECONDS = 3.0
#: Long overlaps are aligned only this far on both sides of their middle, where the cut will be.
MAX_REACH_SECONDS = 10.0
#: Where two transcriptions differ, one is used if its confidence is higher by this much. A smaller
#: lead says little: with PocketSphinx 0.1 errs as often as it helps, 0.4 helped in 3 words of 800.
MIN_CONFIDENCE_LEAD = 0.4
#: This many agreeing neighbours on each side are enough: more do not make a better place to cut.
MAX_SUPPORT = 2
#: Weight of a pair with one possibly cut word, compared with a pair of whole words.
CUT_WORD_WEIGHT = 0.7
#: Among places with equal support, each second of difference between the word's times counts like
#: this many seconds of distance from the middle: words that agree only by chance differ more.
DIFFERENCE_WEIGHT = 5.0
#: Without agreement, one second of distance from the middle costs like this many seconds of a split
#: word.
DISTANCE_WEIGHT = 0.05
#: This many words on each side show how the engine writes capitals and full stops.
EVIDENCE_WORDS = 60

_get_start = attrgetter("start")

#: Indices of one word in the two transcriptions.
_Pair = tuple[int, int]


@dataclass(frozen=True, slots=True)
class TranscribedChunk:
    """The words of one window of the recording, in recording time."""

    window: Interval
    words: tuple[Word, ...]


def shift_words(words: Iterable[Word], offset: float) -> tuple[Word, ...]:
    """Return the words, *offset* seconds later."""
    return tuple(replace(word, start=word.start + offset, end=word.end + offset) for word in words)


def stitch(chunks: Sequence[TranscribedChunk]) -> tuple[Word, ...]:
    """Return every word once, by start; times lie in the words' windows and starts never decrease.

    Windows are in recording order and may be apart, touch or overlap. Outside overlaps no word is
    lost. A chunk that lies wholly inside earlier windows adds nothing. Capitals and full stops that
    come only from a cut are removed where this can be detected.
    """
    stitched: list[Word] = []
    covered_until = -math.inf
    for chunk in chunks:
        window = chunk.window
        if window.start < covered_until and window.end <= covered_until:
            continue
        words = _clip_words(chunk)
        if window.start < covered_until - MIN_OVERLAP_SECONDS:
            words = _merge_overlap(stitched, words, Interval(window.start, covered_until))
        elif stitched and words:
            stitched[-1], words[0] = smooth_boundary(
                stitched[-EVIDENCE_WORDS:], words[:EVIDENCE_WORDS]
            )
        stitched.extend(words)
        covered_until = window.end
    return tuple(_make_monotonic(stitched))


def _clip_words(chunk: TranscribedChunk) -> list[Word]:
    """Return the words by start, with finite times inside the window.

    Engines return times past the end of the audio, missing times, and ends before starts. If a word
    begins slightly before its predecessor, its time is corrected and the order of the words is
    kept.
    """
    window, position = chunk.window, chunk.window.start
    words: list[Word] = []
    for word in chunk.words:
        start = min(max(word.start, window.start), window.end) if _is_time(word.start) else position
        if words and start < words[-1].start <= start + SAME_TIME_SECONDS:
            start = words[-1].start
        position = min(max(word.end, start), window.end) if _is_time(word.end) else start
        insort(words, _retime_word(word, start, position), key=_get_start)
    return words


def _is_time(value: float | None) -> bool:
    return value is not None and math.isfinite(value)


def _retime_word(word: Word, start: float, end: float) -> Word:
    unchanged = word.start == start and word.end == end
    return word if unchanged else replace(word, start=start, end=end)


def _make_monotonic(words: Iterable[Word]) -> Iterable[Word]:
    """Yield the words in the same order, with starts that never decrease."""
    position = -math.inf
    for word in words:
        position = max(position, word.start)
        yield _retime_word(word, position, max(position, word.end))


def _merge_overlap(stitched: list[Word], incoming: list[Word], overlap: Interval) -> list[Word]:
    """Remove the words of the overlap from *stitched*, and return the words that continue it."""
    # A word that one transcription has cut in half may lie just outside the overlap in the other.
    doubled = bisect_left(stitched, overlap.start - MAX_WORD_SECONDS, key=_get_start)
    settled_count = bisect_right(incoming, overlap.end + ALONE_SECONDS, key=_get_start)
    before, after, rest = stitched[doubled:], incoming[:settled_count], incoming[settled_count:]
    del stitched[doubled:]

    pairs = _align_words(before, after, overlap)
    if _replace_less_confident(before, after, pairs):
        pairs = _align_words(before, after, overlap)
    left, right = _cut_at_agreement(pairs, before, after, overlap) or _cut_at_pause(
        before, after, overlap
    )
    matched_left, matched_right = {i for i, _ in pairs}, {j for _, j in pairs}
    safe = _find_safe_interval(overlap)
    halves_left = [i for i in range(left, len(before)) if before[i].end > safe.end]
    halves_right = [j for j in range(right) if after[j].start < safe.start]
    only_before = _find_unmatched(
        before, range(left, len(before)), matched_left, halves_left, after
    )
    only_after = _find_unmatched(after, range(right), matched_right, halves_right, before)
    if (left - 1, right - 1) in pairs:
        before[left - 1] = merge_words(before[left - 1], after[right - 1])
    elif left and right < len(after):
        before[left - 1], after[right] = smooth_boundary(before[:left], after[right:])
    return [
        *merge(before[:left], only_after, key=_get_start),
        *merge(after[right:], only_before, key=_get_start),
        *rest,
    ]


def _align_words(before: Sequence[Word], after: Sequence[Word], overlap: Interval) -> list[_Pair]:
    """Return the best chain of words that both have at the same time, in the same order."""
    pairs, weights = _find_same_words(before, after, overlap)
    best = list(weights)
    previous = [-1] * len(pairs)
    for current, (i, j) in enumerate(pairs):
        for earlier in range(current):
            fits = pairs[earlier][0] < i and pairs[earlier][1] < j
            if fits and best[earlier] + weights[current] > best[current]:
                best[current], previous[current] = best[earlier] + weights[current], earlier

    chain = []
    position = max(range(len(pairs)), key=best.__getitem__, default=-1)
    while position >= 0:
        chain.append(pairs[position])
        position = previous[position]
    return chain[::-1]


def _replace_less_confident(before: list[Word], after: list[Word], pairs: Sequence[_Pair]) -> bool:
    """Between two shared words, copy the words of the more confident transcription to the other.

    Return whether any words were copied. Words before the first and after the last shared word are
    not changed, because a word cut in half can be wrong with high confidence. There the cut
    decides.
    """
    is_changed = False
    shared = zip(pairs[-2::-1], pairs[:0:-1], strict=True)  # from the end: indices stay valid
    for (first, first_after), (last, last_after) in shared:
        before_slice, after_slice = slice(first + 1, last), slice(first_after + 1, last_after)
        lead = _mean_confidence(before[before_slice]) - _mean_confidence(after[after_slice])
        if lead >= MIN_CONFIDENCE_LEAD:
            after[after_slice] = _fit_between(
                before[before_slice], after[first_after], after[last_after]
            )
        elif lead <= -MIN_CONFIDENCE_LEAD:
            before[before_slice] = _fit_between(after[after_slice], before[first], before[last])
        is_changed = is_changed or abs(lead) >= MIN_CONFIDENCE_LEAD
    return is_changed


def _mean_confidence(words: Sequence[Word]) -> float:
    """Return the mean confidence; NaN, which never leads, if there are no words or one has none."""
    confidences = [math.nan if word.confidence is None else word.confidence for word in words]
    return sum(confidences) / len(confidences) if confidences else math.nan


def _fit_between(words: Sequence[Word], first: Word, last: Word) -> list[Word]:
    """Return the words with times that keep them in this order."""
    starts = [min(max(word.start, first.start), last.start) for word in words]
    return [
        _retime_word(word, start, max(word.end, start))
        for word, start in zip(words, starts, strict=True)
    ]


def _find_same_words(
    before: Sequence[Word], after: Sequence[Word], overlap: Interval
) -> tuple[list[_Pair], list[float]]:
    """Return all pairs that may be one word, with a weight of 1, plus up to 1 for equal times.

    The times decide between "no, no" and "no, no, no". A pair with one possibly cut word has
    `CUT_WORD_WEIGHT` of that weight; a pair of two such words is left out.
    """
    indices_before, indices_after = (
        _find_middle_words(before, overlap),
        _find_middle_words(after, overlap),
    )
    safe = _find_safe_interval(overlap)
    pairs, weights = [], []
    for i in indices_before:
        for j in indices_after:
            distance = _measure_distance(before[i], after[j])
            if distance < SAME_TIME_SECONDS and normalize_word(before[i].text) == normalize_word(
                after[j].text
            ):
                halves = (before[i].end > safe.end) + (after[j].start < safe.start)
                if halves < 2:
                    pairs.append((i, j))
                    difference = distance if halves else _measure_difference(before[i], after[j])
                    weights.append(
                        (1 + max(0.0, 1 - difference / SAME_TIME_SECONDS))
                        * (CUT_WORD_WEIGHT if halves else 1)
                    )
    return pairs, weights


def _find_middle_words(words: Sequence[Word], overlap: Interval) -> list[int]:
    middle = (overlap.start + overlap.end) / 2
    start, end = (
        max(overlap.start, middle - MAX_REACH_SECONDS),
        min(overlap.end, middle + MAX_REACH_SECONDS),
    )
    return [i for i, word in enumerate(words) if word.end >= start and word.start <= end]


def _find_safe_interval(overlap: Interval) -> Interval:
    """Return the overlap without the edges at which either window may cut a word in half."""
    edge = min(DOUBTFUL_EDGE_SECONDS, overlap.duration / 4)
    return Interval(overlap.start + edge, overlap.end - edge)


def _measure_distance(first: Word, second: Word) -> float:
    """Return the seconds between two versions of a word; either may be cut at one end."""
    return min(abs(first.start - second.start), abs(first.end - second.end))


def _measure_difference(first: Word, second: Word) -> float:
    """Return the mean difference in start and end of two versions of a whole word (seconds)."""
    return (abs(first.start - second.start) + abs(first.end - second.end)) / 2


def _cut_at_agreement(
    pairs: list[_Pair], before: Sequence[Word], after: Sequence[Word], overlap: Interval
) -> _Pair | None:
    """Return the number of words to keep of *before* and to drop of *after*; None without pairs."""
    if not pairs:
        return None
    middle = (overlap.start + overlap.end) / 2
    safe = _find_safe_interval(overlap)
    support = _measure_support(pairs)

    def merit(index: int) -> tuple[int, bool, float]:
        word, other = before[pairs[index][0]], after[pairs[index][1]]
        is_whole = word.end <= safe.end and other.start >= safe.start
        distance = abs((word.start + word.end) / 2 - middle)
        return (
            support[index],
            is_whole,
            -distance - DIFFERENCE_WEIGHT * _measure_difference(word, other),
        )

    i, j = pairs[max(range(len(pairs)), key=merit)]
    return i + 1, j + 1


def _measure_support(pairs: list[_Pair]) -> list[int]:
    """Return for each pair how many neighbours in a row agree, on its weaker side."""
    ahead = _compute_run_lengths(pairs, lambda i, j: (i - 1, j - 1))
    behind = _compute_run_lengths(pairs[::-1], lambda i, j: (i + 1, j + 1))[::-1]
    return [min(pair) for pair in zip(ahead, behind, strict=True)]


def _compute_run_lengths(
    pairs: Sequence[_Pair], neighbour: Callable[[int, int], _Pair]
) -> list[int]:
    lengths: dict[_Pair, int] = {}
    for pair in pairs:
        lengths[pair] = min(MAX_SUPPORT, lengths.get(neighbour(*pair), -1) + 1)
    return list(lengths.values())


def _cut_at_pause(before: Sequence[Word], after: Sequence[Word], overlap: Interval) -> _Pair:
    """Return the counts as `_cut_at_agreement` does, for a time that splits the fewest words."""
    middle, safe = (overlap.start + overlap.end) / 2, _find_safe_interval(overlap)
    nearby = [*(before[i] for i in _find_middle_words(before, overlap))]
    nearby += [after[j] for j in _find_middle_words(after, overlap)]
    times = [time for word in nearby for time in (word.start, word.end)]

    def cost(time: float) -> tuple[float, float]:
        split = sum(max(0.0, min(time - word.start, word.end - time)) for word in nearby)
        return split + DISTANCE_WEIGHT * abs(time - middle), time

    time = min((middle, *(time for time in times if safe.start <= time <= safe.end)), key=cost)
    return _count_before(before, time), _count_before(after, time)


def _count_before(words: Sequence[Word], time: float) -> int:
    """Return the number of words whose middle lies before *time*."""
    return next(
        (i for i, word in enumerate(words) if (word.start + word.end) / 2 >= time), len(words)
    )


def _find_unmatched(
    words: Sequence[Word],
    dropped: range,
    matched: Container[int],
    halves: Container[int],
    other_words: Sequence[Word],
) -> list[Word]:
    """Return the dropped words that the other transcription missed completely.

    A possibly cut word is kept only if the other has no word within `AWAKE_SECONDS`.
    """
    return [
        words[i]
        for i in dropped
        if i not in matched
        and not _is_near(words[i], other_words, AWAKE_SECONDS if i in halves else ALONE_SECONDS)
    ]


def _is_near(word: Word, other_words: Sequence[Word], within: float) -> bool:
    first = bisect_left(other_words, word.start - MAX_WORD_SECONDS - within, key=_get_start)
    last = bisect_left(other_words, word.end + within, key=_get_start)
    return any(other_word.end > word.start - within for other_word in other_words[first:last])
