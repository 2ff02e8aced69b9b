"""Warnings of a transcript as lines of text; many of one kind become one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transcripts.clock_time import format_clock_time

#: Most warnings of one kind that get a line each; more are combined in one line.
MAX_LINES = 3
#: Intervals listed in that line.
MAX_INTERVALS = 8

#: Summaries of several warnings; for other kinds the first sentence is used.
_SUMMARIES = {
    "chunk_failed": "could not be transcribed",
    "speakers_failed": "the speakers could not be detected",
    "speech_without_words": "the audio seems to contain speech, but no words were transcribed",
    "sound_missing": "the recording has no audio; silence replaces it",
    "words_left_out": "words were dropped because they were probably not spoken",
    "words_doubtful": "words are doubtful",
    "edit_removed": "edits were removed: these places have other words now",
}


def fold_warnings(warnings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """Yield one line per warning, in order; many of one kind are combined at the first one."""
    by_code: dict[str, list[Mapping[str, Any]]] = {}
    for warning in warnings:
        by_code.setdefault(warning["code"], []).append(warning)
    for code, group in by_code.items():
        timed_warnings = [warning for warning in group if warning["start"] is not None]
        if len(timed_warnings) <= MAX_LINES:
            yield from map(_format_line, group)
        else:
            yield _format_summary(_SUMMARIES.get(code, group[0]["sentence"]), timed_warnings)
            yield from (_format_line(warning) for warning in group if warning not in timed_warnings)


def _format_line(warning: Mapping[str, Any]) -> str:
    interval = _format_interval(warning)
    return f"{interval}: {warning['sentence']}" if interval else str(warning["sentence"])


def _format_summary(summary: str, timed_warnings: list[Mapping[str, Any]]) -> str:
    intervals = ", ".join(_format_interval(warning) for warning in timed_warnings[:MAX_INTERVALS])
    suffix = (
        f" and {len(timed_warnings) - MAX_INTERVALS} more"
        if len(timed_warnings) > MAX_INTERVALS
        else ""
    )
    return f"{summary}, in {len(timed_warnings)} intervals: {intervals}{suffix}"


def _format_interval(warning: Mapping[str, Any]) -> str:
    """Return ``0:05-0:12``, one time if both look equal, or an empty string without a time."""
    if warning["start"] is None:
        return ""
    start, end = (format_clock_time(warning[name]) for name in ("start", "end"))
    return start if start == end else f"{start}-{end}"
