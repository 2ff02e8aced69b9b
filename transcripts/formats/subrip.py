"""SubRip (.srt)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transcripts.formats.clock import stamp
from transcripts.formats.cues import STANDARD, Cue, Layout, direct, lay_out
from transcripts.types import Segment


def srt(
    segments: Iterable[Segment],
    layout: Layout = STANDARD,
    names: Mapping[int, str] | None = None,
) -> str:
    """A SubRip file; every change of speaker begins with ``SPEAKER_00: ``. Empty without words."""
    cues = lay_out(segments, layout, names, leads=True)
    return "\n".join(_block(number, cue) for number, cue in enumerate(cues, start=1))


def _block(number: int, cue: Cue) -> str:
    # SubRip has no escapes, and an arrow would make a line look like times.
    text = "\n".join(direct(cue)).replace("-->", "→")
    return f"{number}\n{stamp(cue.start, ',')} --> {stamp(cue.end, ',')}\n{text}\n"
