"""Where speech may be cut: after sentences, after clauses and in pauses.

Everything that cuts words into pieces (segments, subtitle cues, speaker changes) asks here.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence

from transcripts.types import Word

#: A longer pause makes a boundary no better: it is the best one already.
MAX_PAUSE_SECONDS = 1.0

_QUOTES = "\"'”’»)]}"
_SENTENCE_MARKS = (".", "!", "?", "…", "。", "！", "？", "।", "؟")
_CLAUSE_MARKS = (",", ";", ":", "–", "—", "，", "、", "；", "：", "،")
# Japanese that no line begins with: small kana, and marks that engines may set apart.
_NO_START = frozenset(
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶーゝゞヽヾ々、。，．！？」』）】"
)
_NUMBER = re.compile(r"[\d.,]*\d\.")
_INITIAL_OR_DOTTED = re.compile(r"(?!I\.)[A-Z]\.|(?:\w\.){2,}")  # J. and p.m., but not "So do I."

# English, and the Portuguese titles of this house. Words that end a sentence as often as not
# ("etc.", "no.") are left out.
_ABBREVIATION = re.compile(
    r"(?:mr|mrs|ms|dr|prof|sr|jr|st|mt|vs|gen|col|sgt|capt|lt|rev|hon|gov|sen|rep|fig|figs|vol|pp"
    r"|approx|dept|est|inc|ltd|cf|sra|srta|dra|profa|exmo|exma|av|pág|tel)\.",
    re.IGNORECASE,
)


def pause_after(word: Word, following: Word) -> float:
    """Seconds of silence between two words, never negative."""
    return max(0.0, following.start - word.end)


def ends_sentence(word: Word, following: Word | None = None) -> bool:
    """Whether a sentence ends with *word*; abbreviations, initials and numbers are seen through.

    Engines without punctuation never end a sentence: use the pauses.
    """
    text = word.text.rstrip(_QUOTES)
    if not text.endswith(_SENTENCE_MARKS):
        return False
    if text.endswith(("...", "…")):
        return following is None or not following.text[:1].islower()
    return not text.endswith(".") or not _is_abbreviated(text, following)


def ends_clause(word: Word) -> bool:
    """Whether any punctuation that a reader would rest at stands after *word*."""
    return word.text.rstrip(_QUOTES).endswith(_CLAUSE_MARKS + _SENTENCE_MARKS)


def split_at_boundaries(
    words: Sequence[Word], find_limit: Callable[[int], int]
) -> Iterator[Sequence[Word]]:
    """Split *words* at their best boundaries into parts that all fit.

    ``find_limit(first)`` tells the index after the last word that fits in a part that begins with
    word *first*; it must let at least one word in.
    """
    first = 0
    while (limit := find_limit(first)) < len(words):
        boundary = _find_best_boundary(words, first, limit)
        yield words[first:boundary]
        first = boundary
    yield words[first:]


def _is_abbreviated(text: str, following: Word | None) -> bool:
    """Whether the full stop at the end of *text* belongs to the word."""
    if _ABBREVIATION.fullmatch(text) or _INITIAL_OR_DOTTED.fullmatch(text):
        return True
    # "3." before "5 percent", but not "in 1999." before "Then".
    return (
        following is not None
        and _NUMBER.fullmatch(text) is not None
        and not following.text[:1].isupper()
    )


def _find_best_boundary(words: Sequence[Word], first: int, limit: int) -> int:
    """The index, after *first* and up to *limit*, to cut ``words[first:]`` at.

    Equal shares are what a cut strives for, so that no sliver is left over at the end; a clear
    pause or a clause's end outweighs that, but never in the first third of what fits.
    """
    capacity, rest = limit - first, len(words) - first
    ideal = first + rest / math.ceil(rest / capacity)
    lowest = first + max(1, capacity // 3)

    def merit(index: int) -> tuple[float, int]:
        return _score_boundary(words[index - 1], words[index]) - abs(
            index - ideal
        ) / capacity, index

    return max(range(lowest, limit + 1), key=merit)


def _score_boundary(word: Word, following: Word) -> float:
    """How good a place between two words is for a cut, -1 to 2.5."""
    if following.text[:1] in _NO_START:
        return -1.0
    score = min(MAX_PAUSE_SECONDS, pause_after(word, following))
    if ends_sentence(word, following):
        return score + 1.5
    return score + 0.5 if ends_clause(word) else score
