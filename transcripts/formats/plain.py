"""Plain text (.txt), read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transcripts.formats.paragraphs import build_paragraphs
from transcripts.speakers.assignment import label
from transcripts.types import Segment


def txt(
    segments: Iterable[Segment],
    names: Mapping[int, str] | None = None,
    *,
    speaker_labels: bool = True,
) -> str:
    """Return paragraphs separated by an empty line; ``SPEAKER_00: `` names known speakers."""
    lines = []
    for paragraph in build_paragraphs(segments):
        speaker = paragraph.speaker if speaker_labels else None
        lead = "" if speaker is None else f"{label(speaker, names)}: "
        lines.append(f"{lead}{paragraph.text}\n")
    return "\n".join(lines)
