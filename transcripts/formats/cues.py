"""Layout of segments as subtitle cues, for every format that has cues.

A cue holds what fits on the screen, ends at the end of a clause if possible, and never overlaps the
next cue. It stays long enough to be read if the next speaker leaves time for that.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from transcripts.formats.timestamps import to_milliseconds
from transcripts.spacing import Spaced, find_separator_before, is_unspaced
from transcripts.speakers.assignment import label
from transcripts.text.boundaries import pause_after, split_at_boundaries
from transcripts.text.display_width import measure_width
from transcripts.text.phrases import find_breaks, join_phrases
from transcripts.types import Segment, Word

#: Two cues that begin at the same time are separated by one film frame (milliseconds).
FRAME_MILLISECONDS = 40
#: Where people talk at the same time, cues follow one another, delayed by up to this much
#: (seconds).
MAX_DELAY_SECONDS = 3.0
#: A cue too short to be read is merged with its neighbour across a pause up to this long (seconds).
MAX_MERGE_PAUSE_SECONDS = 0.5

#: Most characters per column of a line. More are an endless series of combining marks.
_MAX_CHARACTERS_PER_COLUMN = 4

# Neither players nor encoders can handle these characters; white space is folded before.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EMBED_RIGHT_TO_LEFT, _END_OF_EMBEDDING = "\u202b", "\u202c"
_JOINER = "\u200d"
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_UNSAFE = re.compile(rf"\s|{_UNPRINTABLE.pattern}")


@dataclass(frozen=True, slots=True)
class Layout:
    """How subtitles look. The defaults are common broadcast values."""

    #: Columns: a full-width character, such as a Chinese one, takes two.
    max_line_length: int = 42
    max_lines: int = 2
    #: Columns per second; faster speech is shown for as long as it lasts.
    max_cps: float = 20.0
    #: Seconds; less where the next cue follows sooner.
    min_duration: float = 1.0
    #: Seconds.
    max_duration: float = 7.0
    #: Seconds at least between two cues; some players flicker without a gap.
    gap: float = 0.0
    speaker_labels: bool = True

    def __post_init__(self) -> None:
        sizes = (self.max_line_length, self.max_lines, self.max_cps, self.max_duration)
        if min(sizes) <= 0 or min(self.min_duration, self.gap) < 0:
            raise ValueError("sizes of a subtitle layout must be greater than 0")
        if self.min_duration > self.max_duration:
            raise ValueError("min_duration of a subtitle layout must not exceed max_duration")


DEFAULT_LAYOUT = Layout()


@dataclass(frozen=True, slots=True)
class Cue:
    """Lines on the screen from *start* to *end* (milliseconds)."""

    start: int
    end: int
    lines: tuple[str, ...]
    speaker: int | None
    #: The spoken text is written from right to left, independent of the name before it.
    is_right_to_left: bool = False


@dataclass(frozen=True, slots=True)
class _Lead:
    """The name of the speaker, before the words of a cue."""

    text: str
    space_before: bool | None = None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A cue before its lines are wrapped and its times are settled."""

    words: tuple[Word, ...]
    speaker: int | None
    #: The name of the speaker, shown before the words.
    lead: str = ""

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return max(word.end for word in self.words)

    @property
    def tokens(self) -> list[Spaced]:
        """Return the tokens to wrap into lines; a name is one token, so it is not split."""
        return [_Lead(self.lead), *self.words] if self.lead else [*self.words]


def lay_out(
    segments: Iterable[Segment],
    layout: Layout = DEFAULT_LAYOUT,
    names: Mapping[int, str] | None = None,
    *,
    leads: bool = False,
) -> list[Cue]:
    """Return all cues by start, each shown for as long as allowed.

    With *leads*, the first cue of a new speaker begins with ``SPEAKER_00:``, which takes space in
    its first line. Where people talk at the same time, each cue starts when the one before it can
    have been read, but at most `MAX_DELAY_SECONDS` late.
    """
    leads = leads and layout.speaker_labels
    drafts: Iterable[_Draft] = _sort_by_start(
        _build_drafts(segments, layout, names if leads else None, leads=leads)
    )
    if leads:
        drafts = _add_leads(drafts, names, layout)
    drafts = _merge_short_cues(drafts, layout)
    starts = _compute_starts(drafts, layout)
    return [
        _build_cue(draft, start, following, layout)
        for draft, start, following in zip(drafts, starts, [*starts[1:], None], strict=False)
    ]


def embed_direction(cue: Cue) -> tuple[str, ...]:
    """Return the lines with embedding marks for right-to-left text.


    Without them most players assume that a line begins at the left.
    """
    if not cue.is_right_to_left:
        return cue.lines
    return tuple(f"{_EMBED_RIGHT_TO_LEFT}{line}{_END_OF_EMBEDDING}" for line in cue.lines)


def _build_drafts(
    segments: Iterable[Segment], layout: Layout, names: Mapping[int, str] | None, *, leads: bool
) -> Iterator[_Draft]:
    """Yield the drafts of each segment, split at clauses and pauses."""
    last_speaker = None
    for segment in segments:
        words = [
            part for word in join_phrases(segment.words) for part in _sanitize_word(word, layout)
        ]
        speaker, lead = segment.speaker, ""
        if words and leads and speaker is not None and speaker != last_speaker:
            lead = _build_lead(label(speaker, names), words[0], layout)
        if words:
            last_speaker = speaker
            yield from _split_draft(words, speaker, lead, layout)


def _sanitize_word(word: Word, layout: Layout) -> Iterable[Word]:
    """Return the word as texts without white space that fit into a line and share its time."""
    limit = layout.max_line_length
    if 0 < measure_width(word.text) <= limit and not _UNSAFE.search(word.text):
        return (word,)
    texts = [
        part
        for text in _UNPRINTABLE.sub("", " ".join(word.text.split())).split()
        for part in _split_text(text, limit)
    ]
    step = (word.end - word.start) / max(1, len(texts))
    starts = [word.start + index * step for index in range(len(texts))]
    return [
        replace(
            word,
            text=text,
            start=start,
            end=start + step,
            space_before=None if index else word.space_before,
        )
        for index, (text, start) in enumerate(zip(texts, starts, strict=True))
    ]


def _split_text(text: str, limit: int) -> Iterator[str]:
    """Yield pieces of at most *limit* columns, cut between phrases if the script has no spaces."""
    max_characters = _MAX_CHARACTERS_PER_COLUMN * limit
    while len(text) > max_characters or measure_width(text) > limit:
        end = _find_cut(text[:max_characters], limit)
        yield text[:end]
        text = text[end:]
    yield text


def _find_cut(text: str, limit: int) -> int:
    """Return the length of the first phrase, or of what fits; marks stay with their letters."""
    candidates = (
        position for position in range(len(text), 0, -1) if measure_width(text[:position]) <= limit
    )
    fitting_length = next(candidates, 1)
    phrase = min(find_breaks(text), default=0) if any(map(is_unspaced, text)) else 0
    if 0 < phrase <= fitting_length:
        return phrase
    position = fitting_length
    while position > 1 and _is_attached(text, position):
        position -= 1
    return position if position > 1 else fitting_length


def _is_attached(text: str, index: int) -> bool:
    """Return whether the character at *index* belongs to the one before it."""
    joined = _JOINER in text[index - 1 : index + 1]
    return joined or unicodedata.category(text[index])[0] == "M" or text[index] in _SKIN_TONES


def _build_lead(name: str, first_word: Word, layout: Layout) -> str:
    """Return the name that begins a cue, cut to fit a line; empty if no word fits beside it."""
    name = _UNPRINTABLE.sub("", name)
    limit = layout.max_line_length
    lead = f"{name}:"
    if measure_width(lead) > limit:
        lead = f"{next(_split_text(name, max(1, limit - 2)))}…:"
    return lead if len(_fill_lines([_Lead(lead), first_word], limit)) <= layout.max_lines else ""


def _split_draft(
    words: Sequence[Word], speaker: int | None, lead: str, layout: Layout
) -> Iterator[_Draft]:
    def find_limit(first: int) -> int:
        return _find_limit(words, first, lead if first == 0 else "", layout)

    for index, part in enumerate(split_at_boundaries(words, find_limit)):
        yield _Draft(tuple(part), speaker, "" if index else lead)


def _find_limit(words: Sequence[Word], first: int, lead: str, layout: Layout) -> int:
    """Return the index after the last word that fits into a cue that begins with word *first*."""
    lines, used = 1, measure_width(lead)
    latest = words[first].start + layout.max_duration
    for index in range(first, len(words)):
        previous = words[index - 1].text if index > first else lead
        space = len(find_separator_before(previous, words[index])) if used else 0
        width = measure_width(words[index].text)
        longer = used + space + width
        if longer > layout.max_line_length and used:
            lines, longer = lines + 1, width
        if index > first and (lines > layout.max_lines or words[index].end > latest):
            return index
        used = longer
    return len(words)


def _sort_by_start(drafts: Iterable[_Draft]) -> list[_Draft]:
    """Return the drafts by start; those of one speaker keep their order whatever their times."""
    latest: dict[int | None, int] = {}
    keyed = []
    for draft in drafts:
        start = max(to_milliseconds(draft.start), latest.get(draft.speaker, 0))
        latest[draft.speaker] = start
        keyed.append((start, draft))
    return [draft for _, draft in sorted(keyed, key=itemgetter(0))]


def _add_leads(
    drafts: Iterable[_Draft], names: Mapping[int, str] | None, layout: Layout
) -> Iterator[_Draft]:
    """Yield the drafts, with the name repeated when a speaker continues after an interruption."""
    last_speaker = None
    for draft in drafts:
        if draft.speaker == last_speaker:
            yield replace(draft, lead="")
        elif draft.lead or draft.speaker is None:
            yield draft
        else:
            lead = _build_lead(label(draft.speaker, names), draft.words[0], layout)
            yield from _split_draft(draft.words, draft.speaker, lead, layout)
        last_speaker = draft.speaker


def _merge_short_cues(drafts: Iterable[_Draft], layout: Layout) -> list[_Draft]:
    """Merge cues too short to be read with their neighbour if speaker and layout allow it."""
    merged: list[_Draft] = []
    for draft in drafts:
        last = merged[-1] if merged else None
        if last and _is_mergeable(last, draft, layout):
            merged[-1] = replace(last, words=last.words + draft.words)
        else:
            merged.append(draft)
    return merged


def _is_mergeable(first: _Draft, second: _Draft, layout: Layout) -> bool:
    if first.speaker != second.speaker or second.lead:
        return False
    shortest = min(first.end - first.start, second.end - second.start)
    if shortest >= layout.min_duration:
        return False
    words = first.words + second.words
    return pause_after(first.words[-1], second.words[0]) <= MAX_MERGE_PAUSE_SECONDS and _find_limit(
        words, 0, first.lead, layout
    ) == len(words)


def _compute_starts(drafts: Sequence[_Draft], layout: Layout) -> list[int]:
    starts: list[int] = []
    for index, draft in enumerate(drafts):
        start = to_milliseconds(draft.start)
        if starts:
            last = drafts[index - 1]
            is_hurried = last.end > draft.start or starts[-1] > to_milliseconds(last.start)
            if is_hurried:
                read_until = (
                    starts[-1] + _measure_reading_time(last, layout) + to_milliseconds(layout.gap)
                )
                start = max(start, min(read_until, start + to_milliseconds(MAX_DELAY_SECONDS)))
            start = max(start, starts[-1] + FRAME_MILLISECONDS + to_milliseconds(layout.gap))
        starts.append(start)
    return starts


def _measure_reading_time(draft: _Draft, layout: Layout) -> int:
    """Return the milliseconds that a cue needs: its reading time, or its duration if shorter."""
    columns = sum(map(measure_width, _wrap_lines(draft.tokens, layout)))
    return to_milliseconds(min(draft.end - draft.start, columns / layout.max_cps))


def _build_cue(draft: _Draft, start: int, next_start: int | None, layout: Layout) -> Cue:
    lines = _wrap_lines(draft.tokens, layout)
    reading_seconds = max(layout.min_duration, sum(map(measure_width, lines)) / layout.max_cps)
    end = max(to_milliseconds(draft.end), start + math.ceil(reading_seconds * 1000))
    end = min(end, start + to_milliseconds(layout.max_duration))
    if next_start is not None:
        end = min(end, next_start - to_milliseconds(layout.gap))
    return Cue(
        start,
        max(end, start + FRAME_MILLISECONDS),
        lines,
        draft.speaker,
        _is_right_to_left(draft.words),
    )


def _is_right_to_left(words: Iterable[Word]) -> bool:
    """Return whether most letters are of a right-to-left script."""
    directions = Counter(
        unicodedata.bidirectional(character) for word in words for character in word.text
    )
    return directions["R"] + directions["AL"] > directions["L"]


def _wrap_lines(tokens: Sequence[Spaced], layout: Layout) -> tuple[str, ...]:
    """Return as few lines as possible, as even in width as possible."""
    lines = _fill_lines(tokens, layout.max_line_length)
    narrowest = sum(map(measure_width, lines)) // len(lines)
    for width in range(narrowest, layout.max_line_length):
        balanced = _fill_lines(tokens, width)
        if len(balanced) == len(lines):
            return tuple(balanced)
    return tuple(lines)


def _fill_lines(tokens: Sequence[Spaced], width: int) -> list[str]:
    """Return lines that each take as many tokens as fit; a longer token gets its own line."""
    lines = [tokens[0].text]
    for token in tokens[1:]:
        longer = lines[-1] + find_separator_before(lines[-1], token) + token.text
        if measure_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(token.text)
    return lines
