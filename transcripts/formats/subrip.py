"""SubRip (.srt)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transcripts.formats.cues import DEFAULT_LAYOUT, Cue, Layout, embed_direction, lay_out
from transcripts.formats.timestamps import format_timestamp
from transcripts.types import Segment


def srt(
    segments: Iterable[Segment],
    layout: Layout = DEFAULT_LAYOUT,
    names: Mapping[int, str] | None = None,
) -> str:
    """Return a SubRip file, empty without words; ``SPEAKER_00: `` names each new speaker."""
    cues = lay_out(segments, layout, names, leads=True)
    return "\n".join(_format_block(number, cue) for number, cue in enumerate(cues, start=1))


def _format_block(number: int, cue: Cue) -> str:
    # SubRip has no escapes, and an arrow would make a text line look like times.
    text = "\n".join(embed_direction(cue)).replace("-->", "→")
    start, end = format_timestamp(cue.start, ","), format_timestamp(cue.end, ",")
    return f"{number}\n{start} --> {end}\n{text}\n"
