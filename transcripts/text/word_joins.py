"""Capitals and full stops where the transcription of one window continues in the next.

Engines that write punctuation treat every input as complete: they begin it with a capital and end
it with a full stop, even if a cut fell into a sentence.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from transcripts.text.boundaries import ends_clause, ends_sentence, pause_after
from transcripts.types import Word

#: After a longer pause than this a sentence may well begin (seconds).
MAX_PAUSE_SECONDS = 1.0

#: Punctuation that is read aloud and so is part of the word.
_SPOKEN_MARKS = "%&@#§"


def normalize_word(text: str) -> str:
    """Return the word without case and punctuation, which depend on the surrounding audio."""
    return "".join(filter(_is_spoken, text.casefold())) or text


def merge_words(first: Word, second: Word) -> Word:
    """Merge the versions of one word at the change from the first transcription to the second.

    The first version decides how the word begins, the second which punctuation ends it.
    """
    text = first.text[: _find_end(first.text)] + second.text[_find_end(second.text) :]
    return first if text == first.text else replace(first, text=text)


def smooth_boundary(last: Sequence[Word], incoming: Sequence[Word]) -> tuple[Word, Word]:
    """Return the last word of *last* and the first of *incoming*, as written within a sentence.

    Both are words of neighbouring windows, in order. A full stop is removed if the next word is in
    lower case. A capital is changed if no clause ended before it and the word is in lower case
    elsewhere. Without such evidence both words stay unchanged.
    """
    word, following = last[-1], incoming[0]
    if pause_after(word, following) >= MAX_PAUSE_SECONDS:
        return word, following
    if _is_lowercase(following.text) and _is_full_stop(word) and _is_capitalized(last[0].text):
        return replace(word, text=word.text[: _find_end(word.text)]), following
    if not ends_clause(word) and _is_capitalized(following.text):
        lowercase = following.text[0].lower() + following.text[1:]
        if _is_lowercase_elsewhere(lowercase, following.text, [*last, *incoming[1:]]):
            return word, replace(following, text=lowercase)
    return word, following


def _is_spoken(character: str) -> bool:
    return unicodedata.category(character)[0] not in "PZ" or character in _SPOKEN_MARKS


def _find_end(text: str) -> int:
    """Return the index of the punctuation that ends a word; the length if there is nothing else."""
    index = len(text)
    while index and not _is_spoken(text[index - 1]):
        index -= 1
    return index or len(text)


def _is_lowercase(text: str) -> bool:
    return text[:1].islower()


def _is_capitalized(text: str) -> bool:
    return text[:1].isupper()


def _is_full_stop(word: Word) -> bool:
    return ends_sentence(word) and word.text[_find_end(word.text) :] == "."


def _is_lowercase_elsewhere(lowercase: str, capitalized: str, words: Sequence[Word]) -> bool:
    """Return whether it occurs in lower case, and never capitalized within a sentence."""
    bare_words = {_strip_punctuation(word.text) for word in words}
    if _strip_punctuation(lowercase) not in bare_words:
        return False
    return not any(
        _strip_punctuation(word.text) == _strip_punctuation(capitalized)
        and not ends_sentence(previous, word)
        for previous, word in pairwise(words)
    )


def _strip_punctuation(text: str) -> str:
    return text[: _find_end(text)]
