"""WebVTT (.vtt)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from transcripts.formats.cues import DEFAULT_LAYOUT, Cue, Layout, embed_direction, lay_out
from transcripts.formats.timestamps import format_timestamp
from transcripts.speakers.assignment import label
from transcripts.types import Segment


def vtt(
    segments: Iterable[Segment],
    layout: Layout = DEFAULT_LAYOUT,
    names: Mapping[int, str] | None = None,
) -> str:
    """Return a WebVTT file, at least its header; ``<v SPEAKER_00>`` names a cue's speaker."""
    cues = lay_out(segments, layout)
    blocks = [_format_block(cue, names, voices=layout.speaker_labels) for cue in cues]
    return "\n".join(["WEBVTT\n", *blocks])


def _format_block(cue: Cue, names: Mapping[int, str] | None, *, voices: bool) -> str:
    text = escape("\n".join(embed_direction(cue)), quote=False)
    if voices and cue.speaker is not None:
        text = f"<v {escape(label(cue.speaker, names), quote=False)}>{text}"
    return f"{format_timestamp(cue.start, '.')} --> {format_timestamp(cue.end, '.')}\n{text}\n"
