"""Assign a speaker to every word."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from transcripts.text.boundaries import ends_clause, ends_sentence, pause_after
from transcripts.types import Turn, Word

#: A word outside all turns gets the speaker of a turn at most this far away (seconds).
MAX_TURN_DISTANCE = 1.0
#: A change of speaker at a pause this long stays where the diarizer put it (seconds).
NOTICEABLE_PAUSE_SECONDS = 0.15
#: A change of speaker within a phrase moves to a pause of at least this length (seconds)...
CLEAR_PAUSE_SECONDS = 0.3
#: ... that is at most this many words ...
MAX_MOVED_WORDS = 2
#: ... and seconds away. The end of a sentence may be farther away than a pause or a comma, since a
#: turn contains many of these.
MAX_SENTENCE_DISTANCE = 1.0
MAX_PAUSE_DISTANCE = 0.5
#: A speaker's run of this many words may be a whole answer ("yes", "of course"): it loses none.
ANSWER_WORDS = 2

#: Overlaps that differ by less are equal; also the length of a word of zero duration (seconds).
_INSTANT = 0.01


def label(speaker: int, names: Mapping[int, str] | None = None) -> str:
    """Return the displayed name of a speaker: the name given by a user, or else SPEAKER_00."""
    name = " ".join(names.get(speaker, "").split()) if names else ""
    return name or f"SPEAKER_{speaker:02d}"


def assign_speakers(words: Sequence[Word], turns: Sequence[Turn]) -> tuple[Word, ...]:
    """Return the words, each with the speaker whose turns it overlaps most.

    The words are ordered by start. If two speakers talk throughout a word and one turn lies inside
    the other, the word goes to the inner turn. If one turn runs into the next, the change is in the
    middle of their overlap. A word outside all turns goes to the nearest turn within
    `MAX_TURN_DISTANCE`, else its speaker is None.

    A diarizer reports a change of speaker some tenths of a second early or late. So a change within
    a phrase moves to a clear pause or a punctuation mark up to `MAX_MOVED_WORDS` words away, if
    there is one. Short answers never lose a word to this.
    """
    speakers = _move_changes_to_pauses(words, _assign_by_overlap(words, turns))
    return tuple(
        word if word.speaker == speaker else replace(word, speaker=speaker)
        for word, speaker in zip(words, speakers, strict=True)
    )


def _assign_by_overlap(words: Sequence[Word], turns: Iterable[Turn]) -> list[int | None]:
    """Return a speaker for each word, in one pass over words and turns."""
    upcoming = deque(sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker)))
    active: list[Turn] = []
    past: list[Turn] = []  # at most one: the turn that ends last of those that have begun
    speakers = []
    for word in words:
        start, end = word.start, max(word.end, word.start + _INSTANT)
        while upcoming and upcoming[0].start < end:
            turn = upcoming.popleft()
            active.append(turn)
            past = [max(*past, turn, key=lambda turn: turn.end)] if past else [turn]
        active = [turn for turn in active if turn.end > start]
        speaker = _find_main_speaker(start, end, active)
        if speaker is None:
            speaker = _find_nearest_speaker(
                start, end, [*past, *([upcoming[0]] if upcoming else [])]
            )
        speakers.append(speaker)
    return speakers


def _find_main_speaker(start: float, end: float, active: Sequence[Turn]) -> int | None:
    """Return who talks for most of the interval; *active* is ordered by start."""
    present = [turn for turn in active if turn.start < end and turn.end > start]
    if len(present) < 2:
        return present[0].speaker if present else None
    seconds: dict[int, float] = {}
    for turn in present:
        overlap = min(end, turn.end) - max(start, turn.start)
        seconds[turn.speaker] = seconds.get(turn.speaker, 0.0) + overlap
    threshold = max(seconds.values()) - _INSTANT
    rivals = [turn for turn in present if seconds[turn.speaker] >= threshold]
    middle = (start + end) / 2
    return reduce(lambda first, second: _choose_turn(first, second, middle), rivals).speaker


def _choose_turn(first: Turn, second: Turn, time: float) -> Turn:
    """Return which of two turns counts at *time* while both last; *first* begins no later."""
    if second.end <= first.end:
        return second
    return first if time < (second.start + first.end) / 2 else second


def _find_nearest_speaker(start: float, end: float, turns: Sequence[Turn]) -> int | None:
    """Return the speaker of the nearest turn within `MAX_TURN_DISTANCE`, or None."""

    def distance(turn: Turn) -> float:
        return max(start - turn.end, turn.start - end)

    turn = min(turns, key=distance, default=None)
    return turn.speaker if turn and distance(turn) <= MAX_TURN_DISTANCE else None


def _move_changes_to_pauses(words: Sequence[Word], speakers: list[int | None]) -> list[int | None]:
    """Return the speakers, with changes within a phrase moved to where a change is likely."""
    changes = [index for index in range(1, len(words)) if speakers[index] != speakers[index - 1]]
    edges = [0, *changes, len(words)] if words else []
    assigned: list[int | None] = []
    for since, index, until in zip(edges, edges[1:], [*edges[2:], len(words)], strict=False):
        change, speaker = index, speakers[index - 1]
        if index < len(words) and speaker is not None and speakers[index] is not None:
            # Words that a run gained at its beginning do not count as words that it can lose at its
            # end.
            change = _find_likely_change(words, max(since, len(assigned)), index, until)
        assigned += [speaker] * (change - len(assigned))
    return assigned


def _find_likely_change(words: Sequence[Word], since: int, index: int, until: int) -> int:
    """Return the index from *since* to *until* where the speaker likely changes, near *index*."""
    if _is_break(words, index, NOTICEABLE_PAUSE_SECONDS):
        return index
    reach = range(
        index - _count_spare_words(index - since), index + _count_spare_words(until - index) + 1
    )
    breaks = [
        candidate
        for candidate in reach
        if _is_break(words, candidate, CLEAR_PAUSE_SECONDS) and _is_near(words, index, candidate)
    ]
    return min(breaks, key=lambda candidate: (abs(candidate - index), candidate), default=index)


def _count_spare_words(length: int) -> int:
    """Return how many words a run of *length* words of one speaker can lose."""
    return max(0, min(MAX_MOVED_WORDS, length - ANSWER_WORDS))


def _is_break(words: Sequence[Word], index: int, pause: float) -> bool:
    word, following = words[index - 1], words[index]
    return ends_clause(word) or pause_after(word, following) >= pause


def _is_near(words: Sequence[Word], index: int, other: int) -> bool:
    """Return whether the words between both places are within the usual error of a diarizer."""
    first, last = min(index, other), max(index, other)
    change = words[index].start
    is_end = ends_sentence(words[other - 1], words[other])
    reach = MAX_SENTENCE_DISTANCE if is_end else MAX_PAUSE_DISTANCE
    return max(change - words[first].start, words[last - 1].end - change) <= reach
