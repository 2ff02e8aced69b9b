"""Gives every word its speaker."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from functools import reduce

from transcripts.borders import ends_clause, ends_sentence, pause_after
from transcripts.types import Turn, Word

#: A word in no turn is given to a turn at most this far away (seconds).
NEAREST_TURN = 1.0
#: A change of speaker at a pause of this length stays where the diarizer saw it (seconds).
NOTICEABLE_PAUSE = 0.15
#: A change of speaker in mid phrase is moved to a pause of at least this length (seconds)...
CLEAR_PAUSE = 0.3
#: ... that is so many words ...
BORDER_WORDS = 2
#: ... and seconds away at most: the end of a sentence may be farther than a pause or a comma, of
#: which there are many inside of a turn.
SENTENCE_SECONDS = 1.0
PAUSE_SECONDS = 0.5
#: So many words by one speaker may be all of an answer ("yes", "of course"): none are given away.
ANSWER_WORDS = 2

#: Overlaps that differ by less are equal; also the length of a word that has none (seconds).
_INSTANT = 0.01


def label(speaker: int, names: Mapping[int, str] | None = None) -> str:
    """What a reader sees of a speaker: the name that was given to him, or else SPEAKER_00."""
    given = " ".join(names.get(speaker, "").split()) if names else ""
    return given or f"SPEAKER_{speaker:02d}"


def assign(words: Sequence[Word], turns: Sequence[Turn]) -> tuple[Word, ...]:
    """The same words, each with the speaker whose turns it overlaps most.

    The words come by start. Of two who talk at the same time all through a word, the one whose
    turn lies inside the other's gets it; if one turn runs into the next, the change is in the
    middle of both. A word in no turn goes to the nearest within `NEAREST_TURN`, else to None.

    A diarizer sees a change of speaker some tenths of a second early or late. So a change in mid
    phrase moves to a clear pause or a punctuation mark a word or two away, if there is one; short
    answers never lose a word to this.
    """
    speakers = _at_pauses(words, _by_overlap(words, turns))
    return tuple(
        word if word.speaker == speaker else replace(word, speaker=speaker)
        for word, speaker in zip(words, speakers, strict=True)
    )


def _by_overlap(words: Sequence[Word], turns: Iterable[Turn]) -> list[int | None]:
    """Words and turns are walked through together: every turn is met once."""
    to_come = deque(sorted(turns, key=lambda turn: (turn.start, turn.end, turn.speaker)))
    talking: list[Turn] = []
    past: list[Turn] = []  # at most one: of the turns that have begun, the one that ends last
    speakers = []
    for word in words:
        start, end = word.start, max(word.end, word.start + _INSTANT)
        while to_come and to_come[0].start < end:
            turn = to_come.popleft()
            talking.append(turn)
            past = [max(*past, turn, key=lambda turn: turn.end)] if past else [turn]
        talking = [turn for turn in talking if turn.end > start]
        speaker = _most_heard(start, end, talking)
        if speaker is None:
            speaker = _nearest(start, end, [*past, *([to_come[0]] if to_come else [])])
        speakers.append(speaker)
    return speakers


def _most_heard(start: float, end: float, talking: Sequence[Turn]) -> int | None:
    """Who talks for most of that time; *talking* is by start."""
    present = [turn for turn in talking if turn.start < end and turn.end > start]
    if len(present) < 2:
        return present[0].speaker if present else None
    heard: dict[int, float] = {}
    for turn in present:
        overlap = min(end, turn.end) - max(start, turn.start)
        heard[turn.speaker] = heard.get(turn.speaker, 0.0) + overlap
    enough = max(heard.values()) - _INSTANT
    rivals = [turn for turn in present if heard[turn.speaker] >= enough]
    middle = (start + end) / 2
    return reduce(lambda one, other: _has_the_floor(one, other, middle), rivals).speaker


def _has_the_floor(first: Turn, second: Turn, time: float) -> Turn:
    """Which of two turns that both go on at *time* counts; *first* does not begin later."""
    if second.end <= first.end:
        return second
    return first if time < (second.start + first.end) / 2 else second


def _nearest(start: float, end: float, turns: Sequence[Turn]) -> int | None:
    """Speaker of the nearest of the turns, if it is near enough."""

    def distance(turn: Turn) -> float:
        return max(start - turn.end, turn.start - end)

    turn = min(turns, key=distance, default=None)
    return turn.speaker if turn and distance(turn) <= NEAREST_TURN else None


def _at_pauses(words: Sequence[Word], speakers: list[int | None]) -> list[int | None]:
    """The same speakers, with changes in mid phrase moved to where a change is likely."""
    changes = [at for at in range(1, len(words)) if speakers[at] != speakers[at - 1]]
    edges = [0, *changes, len(words)] if words else []
    settled: list[int | None] = []
    for since, at, until in zip(edges, edges[1:], [*edges[2:], len(words)], strict=False):
        change, speaker = at, speakers[at - 1]
        if at < len(words) and speaker is not None and speakers[at] is not None:
            # What an answer has won at its beginning is nothing that it could lose at its end.
            change = _likely_change(words, max(since, len(settled)), at, until)
        settled += [speaker] * (change - len(settled))
    return settled


def _likely_change(words: Sequence[Word], since: int, at: int, until: int) -> int:
    """Where between *since* and *until* the speaker changes, if the turns change at word *at*."""
    if _is_break(words, at, NOTICEABLE_PAUSE):
        return at
    reach = range(at - _spare(at - since), at + _spare(until - at) + 1)
    breaks = [
        other
        for other in reach
        if _is_break(words, other, CLEAR_PAUSE) and _is_near(words, at, other)
    ]
    return min(breaks, key=lambda other: (abs(other - at), other), default=at)


def _spare(length: int) -> int:
    """How many words a speaker who says *length* in a row can lose."""
    return max(0, min(BORDER_WORDS, length - ANSWER_WORDS))


def _is_break(words: Sequence[Word], at: int, pause: float) -> bool:
    word, following = words[at - 1], words[at]
    return ends_clause(word) or pause_after(word, following) >= pause


def _is_near(words: Sequence[Word], at: int, other: int) -> bool:
    """Whether the words between the two places are all within reach of a diarizer's error."""
    first, last = min(at, other), max(at, other)
    change = words[at].start
    is_end = ends_sentence(words[other - 1], words[other])
    reach = SENTENCE_SECONDS if is_end else PAUSE_SECONDS
    return max(change - words[first].start, words[last - 1].end - change) <= reach
