"""Read subtitle files, SubRip and WebVTT, and report what violates the format.

Libraries that read subtitles skip what they do not understand, as players do. A checker must report
it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from html import unescape

from transcripts.formats.cues import Cue


@dataclass(frozen=True, slots=True)
class Fault:
    """A fault in a subtitle file."""

    #: Number from 1 of the cue that has the fault or precedes it; 0 before the first cue.
    cue: int
    #: ``form``, ``number``, ``times``, ``overlap``, ``empty``, or the name of a `Layout`'s field.
    rule: str
    text: str
    #: False if only a longer display time would help and there is no room for it.
    mendable: bool = True


@dataclass(frozen=True, slots=True)
class _Format:
    """Syntax of the cue blocks of a format."""

    times: re.Pattern[str]
    #: Markup that players do not show.
    hidden: re.Pattern[str]
    numbered: bool
    unescape: Callable[[str], str]


_SUBRIP = _Format(
    times=re.compile(
        r"(\d{2,}):([0-5]\d):([0-5]\d),(\d{3}) --> (\d{2,}):([0-5]\d):([0-5]\d),(\d{3})"
    ),
    hidden=re.compile(r"</?(?:b|i|u|font)\b[^>]*>|\{\\[^}]*\}", re.IGNORECASE),
    numbered=True,
    unescape=str,
)
_WEBVTT = _Format(
    times=re.compile(
        r"(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})[ \t]+-->"
        r"[ \t]+(?:(\d{2,}):)?([0-5]\d):([0-5]\d)\.(\d{3})(?:[ \t].*)?"
    ),
    hidden=re.compile(r"<[^>]*>"),
    numbered=False,
    unescape=unescape,
)
_HEADER = re.compile(r"WEBVTT(?:[ \t][^\n]*)?(?:\n|$)")
#: A cue, or its name, directly below the first line: players read it.
_MISSING_BLANK_LINE = re.compile(r"WEBVTT[^\n]*\n(?:[^\n]+\n)?[^\n]*-->")
_NO_CUE = re.compile(r"(?:NOTE|STYLE|REGION)(?:[ \t]|$)")


def read_subtitles(text: str) -> tuple[dict[int, Cue], list[Fault]]:
    """Return the cues by their position in the file, from 1, and the faults of the format.

    The lines of a cue are as displayed, without markup. A cue with unreadable times has a position,
    too; text without times has none. A file that begins with ``WEBVTT`` is WebVTT, any other is
    SubRip.
    """
    text = text.removeprefix("\ufeff").replace("\r\n", "\n").replace("\r", "\n")
    is_vtt = text.startswith("WEBVTT")
    subtitle_format = _WEBVTT if is_vtt else _SUBRIP
    faults = []
    if is_vtt and not _HEADER.match(text):
        faults.append(Fault(0, "form", "the first line has text after WEBVTT without a blank"))
    if is_vtt and _MISSING_BLANK_LINE.match(text):
        faults.append(Fault(0, "form", "there is no empty line between WEBVTT and the first cue"))
    cues: dict[int, Cue] = {}
    cue_number, last = 0, 0
    for block in _split_blocks(text, is_vtt):
        cue = _parse_cue(block, subtitle_format)
        cue_number += _find_times_line(block) is not None
        if cue is None:
            faults.append(_build_fault(block, cue_number))
        else:
            cues[cue_number] = cue
        if subtitle_format.numbered and _find_times_line(block) is not None:
            number = _parse_number(block)
            if number != last + 1:
                faults.append(Fault(cue_number, "number", f"its number is not {last + 1}"))
            last = number or last + 1
    return cues, faults


def _split_blocks(text: str, is_vtt: bool) -> Iterator[list[str]]:
    """Yield the lines between empty lines; for WebVTT without the header and non-cue blocks."""
    blocks = [block.split("\n") for block in re.split(r"\n(?:[ \t]*\n)+", text.strip("\n"))]
    if is_vtt:
        blocks[0] = blocks[0][1:] if _MISSING_BLANK_LINE.match(text) else []
    for block in blocks:
        if any(line.strip() for line in block) and not (is_vtt and _NO_CUE.match(block[0])):
            yield block


def _parse_cue(block: Sequence[str], subtitle_format: _Format) -> Cue | None:
    index = _find_times_line(block)
    match = None if index is None else subtitle_format.times.fullmatch(block[index].strip())
    if index is None or match is None:
        return None
    numbers = [int(group or 0) for group in match.groups()]
    texts = (
        subtitle_format.unescape(subtitle_format.hidden.sub("", line)).strip()
        for line in block[index + 1 :]
    )
    lines = tuple(line for line in texts if line)
    return Cue(_to_milliseconds(numbers[:4]), _to_milliseconds(numbers[4:]), lines, None)


def _find_times_line(block: Sequence[str]) -> int | None:
    """Return the index of the line with the times: the first, or the second after a number."""
    return next((index for index, line in enumerate(block[:2]) if "-->" in line), None)


def _to_milliseconds(numbers: Sequence[int]) -> int:
    hours, minutes, seconds, thousandths = numbers
    return ((hours * 60 + minutes) * 60 + seconds) * 1000 + thousandths


def _parse_number(block: Sequence[str]) -> int | None:
    number = block[0].strip()
    return int(number) if number.isascii() and number.isdigit() else None


def _build_fault(block: Sequence[str], cue_number: int) -> Fault:
    index = _find_times_line(block)
    reason = "text block without a line of times" if index is None else "times that cannot be read"
    return Fault(cue_number, "form", f"{reason}: {block[index or 0][:60]!r}")
