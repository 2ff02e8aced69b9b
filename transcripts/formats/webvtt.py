"""WebVTT (.vtt)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from html import escape

from transcripts.formats.clock import stamp
from transcripts.formats.cues import STANDARD, Cue, Layout, direct, lay_out
from transcripts.speakers import label
from transcripts.types import Segment


def vtt(
    segments: Iterable[Segment],
    layout: Layout = STANDARD,
    names: Mapping[int, str] | None = None,
) -> str:
    """A WebVTT file; every cue names its speaker with ``<v SPEAKER_00>``. Never without header."""
    cues = lay_out(segments, layout)
    blocks = [_block(cue, names, voices=layout.speaker_labels) for cue in cues]
    return "\n".join(["WEBVTT\n", *blocks])


def _block(cue: Cue, names: Mapping[int, str] | None, *, voices: bool) -> str:
    text = escape("\n".join(direct(cue)), quote=False)
    if voices and cue.speaker is not None:
        text = f"<v {escape(label(cue.speaker, names), quote=False)}>{text}"
    return f"{stamp(cue.start, '.')} --> {stamp(cue.end, '.')}\n{text}\n"
