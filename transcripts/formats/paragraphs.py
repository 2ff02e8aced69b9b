"""Join segments into paragraphs, for formats that are read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from transcripts.spacing import join_texts
from transcripts.types import Segment

#: Silence of this length begins a new paragraph, even if the speaker is the same (seconds).
PARAGRAPH_PAUSE_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Paragraph:
    """Consecutive speech of one speaker."""

    #: Seconds.
    start: float
    speaker: int | None
    text: str


def build_paragraphs(segments: Iterable[Segment]) -> list[Paragraph]:
    """Return the paragraphs, with white space folded; segments without text are left out."""
    groups: list[list[Segment]] = []
    for segment in segments:
        if not segment.text.split():
            continue
        if not groups or _is_new(groups[-1][-1], segment):
            groups.append([])
        groups[-1].append(segment)
    return [_build_paragraph(run) for run in groups]


def _is_new(last: Segment, segment: Segment) -> bool:
    return segment.speaker != last.speaker or segment.start - last.end >= PARAGRAPH_PAUSE_SECONDS


def _build_paragraph(run: list[Segment]) -> Paragraph:
    text = join_texts(" ".join(segment.text.split()) for segment in run)
    return Paragraph(run[0].start, run[0].speaker, text)
