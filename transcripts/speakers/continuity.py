"""Keep the attributes of speakers, such as names, when a transcript is merged again.

Speakers are numbered by first appearance, so the same number may mean another person after the
second merge. Speakers are matched by the times at which they speak.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import TypeVar

from transcripts.types import Turn

_Value = TypeVar("_Value")


def carry_over(
    names: Mapping[int, _Value], before: Iterable[Turn], after: Iterable[Turn]
) -> dict[int, _Value]:
    """Return the names keyed by the speaker numbers of *after*; ambiguous names are left out.

    A name goes to the new speaker who covers more than half of the old speaker's time, if most of
    the time that the new speaker shares with any old one is shared with this one. So no name is
    used twice.
    """
    before, after = list(before), list(after)
    spoken_before: defaultdict[int, float] = defaultdict(float)
    for turn in before:
        spoken_before[turn.speaker] += turn.end - turn.start
    shared = _measure_shared(before, after)
    shared_after: defaultdict[int, float] = defaultdict(float)
    for (_, new_speaker), seconds in shared.items():
        shared_after[new_speaker] += seconds
    return {
        new_speaker: names[old_speaker]
        for (old_speaker, new_speaker), seconds in sorted(shared.items())
        if old_speaker in names
        and 2 * seconds > spoken_before[old_speaker]
        and 2 * seconds > shared_after[new_speaker]
    }


def _measure_shared(before: Iterable[Turn], after: Iterable[Turn]) -> dict[tuple[int, int], float]:
    """Return the seconds that each pair of an old and a new speaker share, in one pass."""
    all_turns = sorted(
        [(turn, False) for turn in before] + [(turn, True) for turn in after],
        key=lambda turn_and_age: turn_and_age[0].start,
    )
    shared: defaultdict[tuple[int, int], float] = defaultdict(float)
    active: dict[bool, list[Turn]] = {False: [], True: []}
    for turn, is_new in all_turns:
        concurrent = active[not is_new] = [
            other for other in active[not is_new] if other.end > turn.start
        ]
        for other in concurrent:
            pair = (other.speaker, turn.speaker) if is_new else (turn.speaker, other.speaker)
            shared[pair] += min(turn.end, other.end) - turn.start
        active[is_new] = [other for other in active[is_new] if other.end > turn.start] + [turn]
    return shared
