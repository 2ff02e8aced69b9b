"""Check subtitles against the rules of their format and of a layout."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import replace

from transcripts.formats.cues import DEFAULT_LAYOUT, Cue, Layout
from transcripts.formats.reading import Fault, read_subtitles
from transcripts.formats.timestamps import to_milliseconds
from transcripts.text.display_width import measure_width


def lint(text: str, layout: Layout = DEFAULT_LAYOUT) -> list[Fault]:
    """Return all faults of a subtitle file, SubRip or WebVTT, in the order of the file.

    Line lengths are visible columns: tags and line breaks do not count.
    """
    cues, faults = read_subtitles(text)
    cue_numbers = list(cues)
    cue_faults = [
        replace(fault, cue=cue_numbers[fault.cue - 1])
        for fault in lint_cues(list(cues.values()), layout)
    ]
    return sorted([*faults, *cue_faults], key=lambda fault: fault.cue)


def lint_cues(cues: Sequence[Cue], layout: Layout = DEFAULT_LAYOUT) -> Iterator[Fault]:
    """Yield the faults of cues, whether read from a file or about to be written."""
    for index, cue in enumerate(cues):
        following = cues[index + 1] if index + 1 < len(cues) else None
        yield from _check_text(index + 1, cue, layout)
        yield from _check_times(index + 1, cue, following, layout)
        if index:
            yield from _check_order(index + 1, cues[index - 1], cue, layout)


def _check_text(number: int, cue: Cue, layout: Layout) -> Iterator[Fault]:
    width = max(map(measure_width, cue.lines), default=0)
    if not any(cue.lines):
        yield Fault(number, "empty", "the cue has no text")
    if width > layout.max_line_length:
        message = f"a line of {width} columns, {layout.max_line_length} are allowed"
        yield Fault(number, "max_line_length", message)
    if len(cue.lines) > layout.max_lines:
        message = f"{len(cue.lines)} lines, {layout.max_lines} are allowed"
        yield Fault(number, "max_lines", message)


def _check_times(number: int, cue: Cue, following: Cue | None, layout: Layout) -> Iterator[Fault]:
    duration = cue.end - cue.start
    if duration <= 0:
        yield Fault(number, "times", "the cue does not end after its start")
        return
    columns = sum(map(measure_width, cue.lines))
    if columns * 1000 > layout.max_cps * duration:
        message = (
            f"{columns * 1000 / duration:.1f} columns per second, {layout.max_cps:g} are allowed"
        )
        yield _build_duration_fault(number, "max_cps", message, cue, following, layout)
    if duration < to_milliseconds(layout.min_duration):
        message = f"shown for {duration / 1000:g} s, the minimum is {layout.min_duration:g} s"
        yield _build_duration_fault(number, "min_duration", message, cue, following, layout)
    if duration > to_milliseconds(layout.max_duration):
        message = f"shown for {duration / 1000:g} s, the maximum is {layout.max_duration:g} s"
        yield Fault(number, "max_duration", message)


def _build_duration_fault(
    number: int, rule: str, message: str, cue: Cue, following: Cue | None, layout: Layout
) -> Fault:
    """Return a fault that a longer display time would correct; not mendable if there is no room."""
    end: float = following.start - to_milliseconds(layout.gap) if following else math.inf
    if cue.end < min(end, cue.start + to_milliseconds(layout.max_duration)):
        return Fault(number, rule, message)
    return Fault(number, rule, f"{message}; there is no room to show it longer", mendable=False)


def _check_order(number: int, last: Cue, cue: Cue, layout: Layout) -> Iterator[Fault]:
    pause = cue.start - last.end
    if cue.start < last.start:
        yield Fault(number, "times", "the cue begins before the previous cue begins")
    elif pause < 0:
        message = f"the cue begins {-pause / 1000:g} s before the previous cue ends"
        yield Fault(number, "overlap", message)
    elif pause < to_milliseconds(layout.gap):
        message = f"{pause / 1000:g} s after the previous cue, the minimum is {layout.gap:g} s"
        yield Fault(number, "gap", message)
