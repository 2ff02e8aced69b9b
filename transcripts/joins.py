"""How words look where one hearing goes over into the next.

Engines that write capitals and full stops think that whatever they are given is a whole: they
begin it with a capital and end it with a full stop, also where a cut fell into a sentence.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from transcripts.borders import ends_clause, ends_sentence, pause_after
from transcripts.types import Word

#: After a longer pause than this a sentence may well begin (seconds).
LONGEST_PAUSE = 1.0

#: Punctuation that is read out, and so is part of the word.
_SAID = "%&@#§"


def folded(text: str) -> str:
    """The word without case and punctuation, which depend on what the engine heard around it."""
    return "".join(filter(_is_said, text.casefold())) or text


def united(first: Word, second: Word) -> Word:
    """One word as two hearings have it, of which the second goes on from there.

    What stands ahead of a word decides how it begins, and what follows, what it ends with.
    """
    text = first.text[: _end(first.text)] + second.text[_end(second.text) :]
    return first if text == first.text else replace(first, text=text)


def smooth(last: Sequence[Word], coming: Sequence[Word]) -> tuple[Word, Word]:
    """The last word of *last* and the first of *coming*, as they are in the middle of a sentence.

    Both are the words of neighbouring windows, in their order. A full stop goes where the next
    word is written small, and a capital goes where nothing ended before it, if the word is
    written small elsewhere. Where there is nothing to tell by, both words stay as they are.
    """
    word, following = last[-1], coming[0]
    if pause_after(word, following) >= LONGEST_PAUSE:
        return word, following
    if _is_small(following.text) and _is_full_stop(word) and _is_capital(last[0].text):
        return replace(word, text=word.text[: _end(word.text)]), following
    if not ends_clause(word) and _is_capital(following.text):
        small = following.text[0].lower() + following.text[1:]
        if _is_written(small, following.text, [*last, *coming[1:]]):
            return word, replace(following, text=small)
    return word, following


def _is_said(character: str) -> bool:
    return unicodedata.category(character)[0] not in "PZ" or character in _SAID


def _end(text: str) -> int:
    """Index of the punctuation at the end of a word; of what has nothing else, its length."""
    at = len(text)
    while at and not _is_said(text[at - 1]):
        at -= 1
    return at or len(text)


def _is_small(text: str) -> bool:
    return text[:1].islower()


def _is_capital(text: str) -> bool:
    return text[:1].isupper()


def _is_full_stop(word: Word) -> bool:
    return ends_sentence(word) and word.text[_end(word.text) :] == "."


def _is_written(small: str, capital: str, words: Sequence[Word]) -> bool:
    """Whether it is written small, and never with a capital in the middle of a sentence."""
    found = {_bare(word.text) for word in words}
    if _bare(small) not in found:
        return False
    return not any(
        _bare(word.text) == _bare(capital) and not ends_sentence(before, word)
        for before, word in pairwise(words)
    )


def _bare(text: str) -> str:
    return text[: _end(text)]
