"""Plain text (.txt), to be read from top to bottom."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transcripts.speakers import label
from transcripts.types import Segment

#: A new paragraph begins after so much silence, also when the same speaker goes on (seconds).
PARAGRAPH_PAUSE = 2.0


def txt(
    segments: Iterable[Segment],
    names: Mapping[int, str] | None = None,
    *,
    speaker_labels: bool = True,
) -> str:
    """Paragraphs with an empty line between them, ``SPEAKER_00: `` before each whose is known."""
    paragraphs: list[list[str]] = []
    last: Segment | None = None
    for segment in segments:
        text = " ".join(segment.text.split())
        if not text:
            continue
        if last is None or _is_new(last, segment):
            speaker = segment.speaker if speaker_labels else None
            paragraphs.append([] if speaker is None else [f"{label(speaker, names)}:"])
        paragraphs[-1].append(text)
        last = segment
    return "\n".join(" ".join(paragraph) + "\n" for paragraph in paragraphs)


def _is_new(last: Segment, segment: Segment) -> bool:
    return segment.speaker != last.speaker or segment.start - last.end >= PARAGRAPH_PAUSE
