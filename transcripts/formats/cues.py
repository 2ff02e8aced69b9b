"""Lays segments out as subtitle cues, for every format that shows them.

A cue holds what fits on the screen, ends where a clause does, never overlaps the next one, and
stays long enough to be read where the next speaker leaves time for that.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from operator import itemgetter

from transcripts.borders import cut, pause_after
from transcripts.columns import measure_width
from transcripts.formats.clock import milliseconds
from transcripts.phrases import find_breaks, join_phrases
from transcripts.spacing import Spaced, gap_before, is_unspaced
from transcripts.speakers import label
from transcripts.types import Segment, Word

#: Two cues that begin at the same time are set apart by one frame of film (milliseconds).
FRAME = 40
#: Where people talk at the same time, cues come one after another, up to so much late (seconds).
MOST_LATE = 3.0
#: A cue too short to be read becomes one with its neighbour across at most this pause (seconds).
MENDABLE_PAUSE = 0.5

#: Characters of a line for each of its columns, at most; the rest would be marks without end.
_MOST_MARKS = 4

# Neither a player nor an encoder can do anything with these; white space is folded before.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff]")
_EMBED_RIGHT_TO_LEFT, _END_OF_EMBEDDING = "\u202b", "\u202c"
_JOINER = "\u200d"
_SKIN_TONES = "\U0001f3fb\U0001f3fc\U0001f3fd\U0001f3fe\U0001f3ff"
_AWKWARD = re.compile(rf"\s|{_UNWRITABLE.pattern}")


@dataclass(frozen=True, slots=True)
class Layout:
    """How subtitles look. The defaults are what broadcasters agree on."""

    #: Columns: a full-width character, as of Chinese, takes two.
    max_line_length: int = 42
    max_lines: int = 2
    #: Columns a second; speech that is faster than this is shown for as long as it lasts.
    max_cps: float = 20.0
    #: Seconds; less where the next cue follows sooner.
    min_duration: float = 1.0
    #: Seconds.
    max_duration: float = 7.0
    #: Seconds at least between two cues; some players flicker where there are none.
    gap: float = 0.0
    speaker_labels: bool = True

    def __post_init__(self) -> None:
        sizes = (self.max_line_length, self.max_lines, self.max_cps, self.max_duration)
        if min(sizes) <= 0 or min(self.min_duration, self.gap) < 0:
            raise ValueError("a subtitle layout needs sizes above 0")
        if self.min_duration > self.max_duration:
            raise ValueError("a subtitle layout needs a min_duration up to max_duration")


STANDARD = Layout()


@dataclass(frozen=True, slots=True)
class Cue:
    """What is on the screen from *start* to *end* (milliseconds)."""

    start: int
    end: int
    lines: tuple[str, ...]
    speaker: int | None
    #: What is said is written from right to left, whatever the name before it is.
    is_right_to_left: bool = False


@dataclass(frozen=True, slots=True)
class _Lead:
    """Stands before the words of a cue: who speaks."""

    text: str
    space_before: bool | None = None


@dataclass(frozen=True, slots=True)
class _Draft:
    """A cue before its lines are wrapped and its times are settled."""

    words: tuple[Word, ...]
    speaker: int | None
    #: Stands before the words: who speaks.
    lead: str = ""

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return max(word.end for word in self.words)

    @property
    def tokens(self) -> list[Spaced]:
        """What is wrapped into lines; a name is not torn apart."""
        return [_Lead(self.lead), *self.words] if self.lead else [*self.words]


def lay_out(
    segments: Iterable[Segment],
    layout: Layout = STANDARD,
    names: Mapping[int, str] | None = None,
    *,
    leads: bool = False,
) -> list[Cue]:
    """All cues by start, each as long as it may be shown.

    With *leads* a new speaker's first cue begins with ``SPEAKER_00:``, which takes its room in the
    first line. Where people talk at the same time, each cue waits for the one ahead of it to be
    read, up to `MOST_LATE`.
    """
    leads = leads and layout.speaker_labels
    drafts: Iterable[_Draft] = _by_start(
        _drafts(segments, layout, names if leads else None, leads=leads)
    )
    if leads:
        drafts = _led(drafts, names, layout)
    drafts = _mended(drafts, layout)
    starts = _starts(drafts, layout)
    return [
        _cue(draft, start, following, layout)
        for draft, start, following in zip(drafts, starts, [*starts[1:], None], strict=False)
    ]


def direct(cue: Cue) -> tuple[str, ...]:
    """The lines as players show them in the right order: most take a line to begin at the left."""
    if not cue.is_right_to_left:
        return cue.lines
    return tuple(f"{_EMBED_RIGHT_TO_LEFT}{line}{_END_OF_EMBEDDING}" for line in cue.lines)


def _drafts(
    segments: Iterable[Segment], layout: Layout, names: Mapping[int, str] | None, *, leads: bool
) -> Iterator[_Draft]:
    """What each segment needs, cut at its clauses and pauses."""
    shown = None
    for segment in segments:
        words = [part for word in join_phrases(segment.words) for part in _writable(word, layout)]
        speaker, lead = segment.speaker, ""
        if words and leads and speaker is not None and speaker != shown:
            lead = _lead(label(speaker, names), words[0], layout)
        if words:
            shown = speaker
            yield from _split(words, speaker, lead, layout)


def _writable(word: Word, layout: Layout) -> Iterable[Word]:
    """The word as texts without white space that fit into a line, its time shared out to them."""
    limit = layout.max_line_length
    if 0 < measure_width(word.text) <= limit and not _AWKWARD.search(word.text):
        return (word,)
    texts = [
        piece
        for text in _UNWRITABLE.sub("", " ".join(word.text.split())).split()
        for piece in _pieces(text, limit)
    ]
    step = (word.end - word.start) / max(1, len(texts))
    starts = [word.start + at * step for at in range(len(texts))]
    return [
        replace(
            word,
            text=text,
            start=start,
            end=start + step,
            space_before=None if at else word.space_before,
        )
        for at, (text, start) in enumerate(zip(texts, starts, strict=True))
    ]


def _pieces(text: str, limit: int) -> Iterator[str]:
    """The text in pieces of at most so many columns: its phrases, where its script has some."""
    longest = _MOST_MARKS * limit
    while len(text) > longest or measure_width(text) > limit:
        at = _find_cut(text[:longest], limit)
        yield text[:at]
        text = text[at:]
    yield text


def _find_cut(text: str, limit: int) -> int:
    """Characters up to the first phrase's end, else those that fit; marks stay with letters."""
    fitting = (at for at in range(len(text), 0, -1) if measure_width(text[:at]) <= limit)
    most = next(fitting, 1)
    phrase = min(find_breaks(text), default=0) if any(map(is_unspaced, text)) else 0
    if 0 < phrase <= most:
        return phrase
    at = most
    while at > 1 and _hangs_on(text, at):
        at -= 1
    return at if at > 1 else most


def _hangs_on(text: str, at: int) -> bool:
    """Whether the character there belongs to the one before it."""
    joined = _JOINER in text[at - 1 : at + 1]
    return joined or unicodedata.category(text[at])[0] == "M" or text[at] in _SKIN_TONES


def _lead(name: str, first_word: Word, layout: Layout) -> str:
    """The name to begin a cue with, shortened to a line; none if it leaves no room for a word."""
    name = _UNWRITABLE.sub("", name)
    limit = layout.max_line_length
    lead = f"{name}:"
    if measure_width(lead) > limit:
        lead = f"{next(_pieces(name, max(1, limit - 2)))}…:"
    return lead if len(_filled([_Lead(lead), first_word], limit)) <= layout.max_lines else ""


def _split(
    words: Sequence[Word], speaker: int | None, lead: str, layout: Layout
) -> Iterator[_Draft]:
    def room(first: int) -> int:
        return _room(words, first, lead if first == 0 else "", layout)

    for at, part in enumerate(cut(words, room)):
        yield _Draft(tuple(part), speaker, "" if at else lead)


def _room(words: Sequence[Word], first: int, lead: str, layout: Layout) -> int:
    """The index after the last word that fits into a cue that begins with word *first*."""
    lines, filled = 1, measure_width(lead)
    latest = words[first].start + layout.max_duration
    for at in range(first, len(words)):
        before = words[at - 1].text if at > first else lead
        space = len(gap_before(before, words[at])) if filled else 0
        width = measure_width(words[at].text)
        longer = filled + space + width
        if longer > layout.max_line_length and filled:
            lines, longer = lines + 1, width
        if at > first and (lines > layout.max_lines or words[at].end > latest):
            return at
        filled = longer
    return len(words)


def _by_start(drafts: Iterable[_Draft]) -> list[_Draft]:
    """In the order in which they begin; those of one speaker stay in theirs, whatever the times."""
    latest: dict[int | None, int] = {}
    keyed = []
    for draft in drafts:
        start = max(milliseconds(draft.start), latest.get(draft.speaker, 0))
        latest[draft.speaker] = start
        keyed.append((start, draft))
    return [draft for _, draft in sorted(keyed, key=itemgetter(0))]


def _led(
    drafts: Iterable[_Draft], names: Mapping[int, str] | None, layout: Layout
) -> Iterator[_Draft]:
    """The same, named anew where somebody else has spoken into what is said."""
    shown = None
    for draft in drafts:
        if draft.speaker == shown:
            yield replace(draft, lead="")
        elif draft.lead or draft.speaker is None:
            yield draft
        else:
            lead = _lead(label(draft.speaker, names), draft.words[0], layout)
            yield from _split(draft.words, draft.speaker, lead, layout)
        shown = draft.speaker


def _mended(drafts: Iterable[_Draft], layout: Layout) -> list[_Draft]:
    """Cues too short to be read become one with their neighbour, if speaker and room allow it."""
    mended: list[_Draft] = []
    for draft in drafts:
        last = mended[-1] if mended else None
        if last and _is_mendable(last, draft, layout):
            mended[-1] = replace(last, words=last.words + draft.words)
        else:
            mended.append(draft)
    return mended


def _is_mendable(one: _Draft, other: _Draft, layout: Layout) -> bool:
    if one.speaker != other.speaker or other.lead:
        return False
    shortest = min(one.end - one.start, other.end - other.start)
    if shortest >= layout.min_duration:
        return False
    words = one.words + other.words
    return pause_after(one.words[-1], other.words[0]) <= MENDABLE_PAUSE and _room(
        words, 0, one.lead, layout
    ) == len(words)


def _starts(drafts: Sequence[_Draft], layout: Layout) -> list[int]:
    starts: list[int] = []
    for at, draft in enumerate(drafts):
        start = milliseconds(draft.start)
        if starts:
            last = drafts[at - 1]
            is_hurried = last.end > draft.start or starts[-1] > milliseconds(last.start)
            if is_hurried:
                read = starts[-1] + _to_read(last, layout) + milliseconds(layout.gap)
                start = max(start, min(read, start + milliseconds(MOST_LATE)))
            start = max(start, starts[-1] + FRAME + milliseconds(layout.gap))
        starts.append(start)
    return starts


def _to_read(draft: _Draft, layout: Layout) -> int:
    """Milliseconds that a cue can do with: those that it was said in, if it is read sooner."""
    columns = sum(map(measure_width, _wrapped(draft.tokens, layout)))
    return milliseconds(min(draft.end - draft.start, columns / layout.max_cps))


def _cue(draft: _Draft, start: int, following: int | None, layout: Layout) -> Cue:
    lines = _wrapped(draft.tokens, layout)
    to_read = max(layout.min_duration, sum(map(measure_width, lines)) / layout.max_cps)
    end = max(milliseconds(draft.end), start + math.ceil(to_read * 1000))
    end = min(end, start + milliseconds(layout.max_duration))
    if following is not None:
        end = min(end, following - milliseconds(layout.gap))
    return Cue(start, max(end, start + FRAME), lines, draft.speaker, _is_right_to_left(draft.words))


def _is_right_to_left(words: Iterable[Word]) -> bool:
    """Whether most letters are of a script that is written so."""
    directions = Counter(
        unicodedata.bidirectional(character) for word in words for character in word.text
    )
    return directions["R"] + directions["AL"] > directions["L"]


def _wrapped(tokens: Sequence[Spaced], layout: Layout) -> tuple[str, ...]:
    """As few lines as possible, and these as even as possible."""
    lines = _filled(tokens, layout.max_line_length)
    narrowest = sum(map(measure_width, lines)) // len(lines)
    for width in range(narrowest, layout.max_line_length):
        even = _filled(tokens, width)
        if len(even) == len(lines):
            return tuple(even)
    return tuple(lines)


def _filled(tokens: Sequence[Spaced], width: int) -> list[str]:
    """Lines that each take as many tokens as fit; a longer token has a line of its own."""
    lines = [tokens[0].text]
    for token in tokens[1:]:
        longer = lines[-1] + gap_before(lines[-1], token) + token.text
        if measure_width(longer) <= width:
            lines[-1] = longer
        else:
            lines.append(token.text)
    return lines
