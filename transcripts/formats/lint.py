"""Says what in subtitles breaks a rule: of the format, or of the layout that is wished."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from transcripts.columns import measure_width
from transcripts.formats.clock import milliseconds
from transcripts.formats.cues import STANDARD, Cue, Layout
from transcripts.formats.reading import Fault, read


def lint(text: str, layout: Layout = STANDARD) -> list[Fault]:
    """Every fault of a subtitle file, SubRip or WebVTT, in the order of the file.

    Lengths are those that a reader sees: columns without tags, and a break of line is none.
    """
    cues, faults = read(text)
    places = list(cues)
    found = [
        replace(fault, cue=places[fault.cue - 1])
        for fault in lint_cues(list(cues.values()), layout)
    ]
    return sorted([*faults, *found], key=lambda fault: fault.cue)


def lint_cues(cues: Sequence[Cue], layout: Layout = STANDARD) -> Iterator[Fault]:
    """The faults of cues that were read, or that are about to be written."""
    for at, cue in enumerate(cues):
        following = cues[at + 1] if at + 1 < len(cues) else None
        yield from _of_text(at + 1, cue, layout)
        yield from _of_times(at + 1, cue, following, layout)
        if at:
            yield from _of_order(at + 1, cues[at - 1], cue, layout)


def _of_text(number: int, cue: Cue, layout: Layout) -> Iterator[Fault]:
    longest = max(map(measure_width, cue.lines), default=0)
    if not any(cue.lines):
        yield Fault(number, "empty", "it shows nothing")
    if longest > layout.max_line_length:
        told = f"a line of {longest} columns, {layout.max_line_length} are allowed"
        yield Fault(number, "max_line_length", told)
    if len(cue.lines) > layout.max_lines:
        told = f"{len(cue.lines)} lines, {layout.max_lines} are allowed"
        yield Fault(number, "max_lines", told)


def _of_times(number: int, cue: Cue, following: Cue | None, layout: Layout) -> Iterator[Fault]:
    shown = cue.end - cue.start
    if shown <= 0:
        yield Fault(number, "times", "it ends before it was shown")
        return
    columns = sum(map(measure_width, cue.lines))
    if columns * 1000 > layout.max_cps * shown:
        told = f"{columns * 1000 / shown:.1f} columns a second, {layout.max_cps:g} are allowed"
        yield _brief(number, "max_cps", told, cue, following, layout)
    if shown < milliseconds(layout.min_duration):
        told = f"shown for {shown / 1000:g} s, {layout.min_duration:g} s is the least"
        yield _brief(number, "min_duration", told, cue, following, layout)
    if shown > milliseconds(layout.max_duration):
        told = f"shown for {shown / 1000:g} s, {layout.max_duration:g} s is the most"
        yield Fault(number, "max_duration", told)


def _brief(
    number: int, rule: str, told: str, cue: Cue, following: Cue | None, layout: Layout
) -> Fault:
    """A fault that would be none if the cue were shown longer."""
    end: float = following.start - milliseconds(layout.gap) if following else math.inf
    if cue.end < min(end, cue.start + milliseconds(layout.max_duration)):
        return Fault(number, rule, told)
    return Fault(number, rule, f"{told}; it cannot be shown longer", mendable=False)


def _of_order(number: int, last: Cue, cue: Cue, layout: Layout) -> Iterator[Fault]:
    pause = cue.start - last.end
    if cue.start < last.start:
        yield Fault(number, "times", "it begins before the cue ahead of it does")
    elif pause < 0:
        told = f"it begins {-pause / 1000:g} s before the cue ahead of it ends"
        yield Fault(number, "overlap", told)
    elif pause < milliseconds(layout.gap):
        told = f"{pause / 1000:g} s after the cue ahead of it, {layout.gap:g} s is the least"
        yield Fault(number, "gap", told)
