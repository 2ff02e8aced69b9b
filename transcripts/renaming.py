"""Keeps what speakers have, such as names, when a transcript is put together again.

Numbers of speakers come from who is heard first, so the same number may mean somebody else the
second time. A speaker is the same when he speaks at the same times.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from transcripts.types import Turn

_Had = TypeVar("_Had")


def carried(
    names: Mapping[int, _Had], before: Iterable[Turn], after: Iterable[Turn]
) -> dict[int, _Had]:
    """The names by the numbers of *after*; left out where it is not clear whose a name is.

    A name goes to the speaker who has more than half of the time that its bearer spoke *before*,
    if most of what was known of that speaker's time was the bearer's. So no name is given twice.
    """
    before, after = list(before), list(after)
    spoken: defaultdict[int, float] = defaultdict(float)
    for turn in before:
        spoken[turn.speaker] += turn.end - turn.start
    shared = _shared(before, after)
    known: defaultdict[int, float] = defaultdict(float)
    for (_, now), seconds in shared.items():
        known[now] += seconds
    return {
        now: names[then]
        for (then, now), seconds in sorted(shared.items())
        if then in names and 2 * seconds > spoken[then] and 2 * seconds > known[now]
    }


def _shared(before: Iterable[Turn], after: Iterable[Turn]) -> dict[tuple[int, int], float]:
    """Seconds in which a speaker of the one and a speaker of the other talk. Walked once."""
    talk = sorted(
        [(turn, False) for turn in before] + [(turn, True) for turn in after],
        key=lambda one: one[0].start,
    )
    shared: defaultdict[tuple[int, int], float] = defaultdict(float)
    going: dict[bool, list[Turn]] = {False: [], True: []}
    for turn, is_new in talk:
        others = going[not is_new] = [one for one in going[not is_new] if one.end > turn.start]
        for other in others:
            pair = (other.speaker, turn.speaker) if is_new else (turn.speaker, other.speaker)
            shared[pair] += min(turn.end, other.end) - turn.start
        going[is_new] = [one for one in going[is_new] if one.end > turn.start] + [turn]
    return shared
