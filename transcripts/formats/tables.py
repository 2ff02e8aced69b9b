"""Tables: one line per segment (.tsv) or per turn (.rttm)."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from transcripts.formats.timestamps import round_seconds
from transcripts.speakers.assignment import label
from transcripts.types import Segment, Turn


def tsv(segments: Iterable[Segment], names: Mapping[int, str] | None = None) -> str:
    """Return tab-separated ``start end speaker text`` with a header; times in seconds."""
    rows = [("start", "end", "speaker", "text")]
    for segment in segments:
        speaker = "" if segment.speaker is None else label(segment.speaker, names)
        text = " ".join(segment.text.split())
        rows.append((_format_time(segment.start), _format_time(segment.end), speaker, text))
    return "".join("\t".join(row) + "\n" for row in rows)


def rttm(turns: Iterable[Turn], name: str) -> str:
    """Return the turns of recording *name* in NIST's Rich Transcription Time Marked format."""
    # Blanks separate the fields.
    recording = "_".join(name.split()) or "recording"
    return "".join(
        f"SPEAKER {recording} 1 {_format_time(turn.start)} {_format_time(turn.end - turn.start)}"
        f" <NA> <NA> {label(turn.speaker)} <NA> <NA>\n"
        for turn in turns
    )


def _format_time(value: float) -> str:
    return f"{round_seconds(value):.3f}"
