"""Puts segments together to paragraphs, for every format that is read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from transcripts.spacing import join
from transcripts.types import Segment

#: A new paragraph begins after so much silence, also when the same speaker goes on (seconds).
PARAGRAPH_PAUSE = 2.0


@dataclass(frozen=True, slots=True)
class Paragraph:
    """What one speaker says in a row."""

    #: Seconds.
    start: float
    speaker: int | None
    text: str


def paragraphs(segments: Iterable[Segment]) -> list[Paragraph]:
    """All that is said, without the white space around it; segments without text are left out."""
    said: list[list[Segment]] = []
    for segment in segments:
        if not segment.text.split():
            continue
        if not said or _is_new(said[-1][-1], segment):
            said.append([])
        said[-1].append(segment)
    return [_paragraph(run) for run in said]


def _is_new(last: Segment, segment: Segment) -> bool:
    return segment.speaker != last.speaker or segment.start - last.end >= PARAGRAPH_PAUSE


def _paragraph(run: list[Segment]) -> Paragraph:
    text = join(" ".join(segment.text.split()) for segment in run)
    return Paragraph(run[0].start, run[0].speaker, text)
