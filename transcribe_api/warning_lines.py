"""Warnings of a transcript as lines to read, many of one kind in one line."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from transcripts.clock_time import write_clock_time

#: Of one kind, so many have a line each; more are told in one line.
MOST_LINES = 3
#: Places that this line names.
MOST_PLACES = 8

#: What is said of many places at once; of other kinds the first sentence stands for all.
_OF_MANY = {
    "chunk_failed": "could not be transcribed",
    "speakers_failed": "the speakers could not be found",
    "speech_without_words": "somebody seems to speak, but no words were heard",
    "sound_missing": "the recording has no sound, so silence stands for it",
    "words_left_out": "words were left out, because nobody seems to have said them",
    "words_doubtful": "words are doubtful",
    "edit_removed": "what was typed was taken away: other words are heard there now",
}


def fold(warnings: Iterable[Mapping[str, Any]]) -> Iterator[str]:
    """A line for each warning, in their order; for many of one kind one, where the first stands."""
    by_code: dict[str, list[Mapping[str, Any]]] = {}
    for warning in warnings:
        by_code.setdefault(warning["code"], []).append(warning)
    for code, same in by_code.items():
        places = [warning for warning in same if warning["start"] is not None]
        if len(places) <= MOST_LINES:
            yield from map(_line, same)
        else:
            yield _line_of_many(_OF_MANY.get(code, same[0]["sentence"]), places)
            yield from (_line(warning) for warning in same if warning not in places)


def _line(warning: Mapping[str, Any]) -> str:
    place = _place(warning)
    return f"{place}: {warning['sentence']}" if place else str(warning["sentence"])


def _line_of_many(what: str, places: list[Mapping[str, Any]]) -> str:
    named = ", ".join(_place(one) for one in places[:MOST_PLACES])
    more = f" and {len(places) - MOST_PLACES} more" if len(places) > MOST_PLACES else ""
    return f"{what}, at {len(places)} places: {named}{more}"


def _place(warning: Mapping[str, Any]) -> str:
    """``0:05-0:12``, one time where both are written alike, or nothing without a place."""
    if warning["start"] is None:
        return ""
    start, end = (write_clock_time(warning[name]) for name in ("start", "end"))
    return start if start == end else f"{start}-{end}"
