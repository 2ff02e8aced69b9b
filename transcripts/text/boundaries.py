"""Boundaries in speech: after sentences, after clauses and in pauses.

Segments, subtitle cues and speaker changes all use these functions to split words.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator, Sequence

from transcripts.types import Word

#: A pause longer than this does not make a boundary better (seconds).
MAX_PAUSE_SECONDS = 1.0

_QUOTES = "\"'”’»)]}"
_SENTENCE_MARKS = (".", "!", "?", "…", "。", "！", "？", "।", "؟")
_CLAUSE_MARKS = (",", ";", ":", "–", "—", "，", "、", "；", "：", "،")
# Japanese characters that no line begins with: small kana, and marks that engines may separate.
_NO_START = frozenset(
    "ぁぃぅぇぉっゃゅょゎァィゥェォッャュョヮヵヶーゝゞヽヾ々、。，．！？」』）】"
)
_NUMBER = re.compile(r"[\d.,]*\d\.")
_INITIAL_OR_DOTTED = re.compile(r"(?!I\.)[A-Z]\.|(?:\w\.){2,}")  # J. and p.m., but not "So do I."

# English abbreviations and Portuguese titles. Words that end a sentence as often as not ("etc.",
# "no.") are left out.
_ABBREVIATION = re.compile(
    r"(?:mr|mrs|ms|dr|prof|sr|jr|st|mt|vs|gen|col|sgt|capt|lt|rev|hon|gov|sen|rep|fig|figs|vol|pp"
    r"|approx|dept|est|inc|ltd|cf|sra|srta|dra|profa|exmo|exma|av|pág|tel)\.",
    re.IGNORECASE,
)


def pause_after(word: Word, following: Word) -> float:
    """Return the seconds of silence between two words, never negative."""
    return max(0.0, following.start - word.end)


def ends_sentence(word: Word, following: Word | None = None) -> bool:
    """Return whether a sentence ends with *word*; abbreviations, initials and numbers end none.

    Always false without punctuation: use the pauses for engines that write none.
    """
    text = word.text.rstrip(_QUOTES)
    if not text.endswith(_SENTENCE_MARKS):
        return False
    if text.endswith(("...", "…")):
        return following is None or not following.text[:1].islower()
    return not text.endswith(".") or not _is_abbreviated(text, following)


def ends_clause(word: Word) -> bool:
    """Return whether *word* ends with punctuation at which a reader would pause."""
    return word.text.rstrip(_QUOTES).endswith(_CLAUSE_MARKS + _SENTENCE_MARKS)


def split_at_boundaries(
    words: Sequence[Word], find_limit: Callable[[int], int]
) -> Iterator[Sequence[Word]]:
    """Split *words* at their best boundaries into parts that all fit.

    ``find_limit(first)`` returns the index after the last word that fits into a part beginning with
    word *first*; a part must have room for at least one word.
    """
    first = 0
    while (limit := find_limit(first)) < len(words):
        boundary = _find_best_boundary(words, first, limit)
        yield words[first:boundary]
        first = boundary
    yield words[first:]


def _is_abbreviated(text: str, following: Word | None) -> bool:
    """Return whether the full stop at the end of *text* belongs to the word."""
    if _ABBREVIATION.fullmatch(text) or _INITIAL_OR_DOTTED.fullmatch(text):
        return True
    # "3." before "5 percent", but not "in 1999." before "Then".
    return (
        following is not None
        and _NUMBER.fullmatch(text) is not None
        and not following.text[:1].isupper()
    )


def _find_best_boundary(words: Sequence[Word], first: int, limit: int) -> int:
    """Return the index, after *first* and up to *limit*, at which to cut ``words[first:]``.

    Cuts aim at parts of equal length, so that no tiny part is left at the end. A clear pause or the
    end of a clause outweighs that, but never in the first third of what fits.
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
    """Return how good the place between two words is for a cut, -1 to 2.5."""
    if following.text[:1] in _NO_START:
        return -1.0
    score = min(MAX_PAUSE_SECONDS, pause_after(word, following))
    if ends_sentence(word, following):
        return score + 1.5
    return score + 0.5 if ends_clause(word) else score
