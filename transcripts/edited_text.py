"""Assign times to a text that an editor typed in place of the transcribed words.

Words that are in both texts keep their times. They are found as the longest runs that both texts
share (`difflib`, after Ratcliff and Obershelp).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from transcripts.spacing import find_unusual_space, is_unspaced
from transcripts.types import Interval, Word


def time_edited_text(
    original: Sequence[Word], text: str, interval: Interval, speaker: int | None = None
) -> tuple[Word, ...]:
    """Return the words of *text*, spoken in *interval* by *speaker*, with times from *original*.

    *original* is ordered by start. A transcribed word keeps its time and confidence, even if its
    case or punctuation has changed. If a run of words is replaced by the same number of words, the
    new words take over their times. Otherwise the new words share evenly the time of those that
    they replace, or the gap that they fill, which can have no duration. Typed words have no
    confidence.
    """
    tokens = list(_split_words(text, {word.text for word in original}))
    normalized = (
        [_normalize_word(word.text) for word in original],
        [_normalize_word(token) for token in tokens],
    )
    words: list[Word] = []
    matcher = SequenceMatcher(None, *normalized, autojunk=False)
    for operation, first, after, typed_first, typed_after in matcher.get_opcodes():
        replacement = tokens[typed_first:typed_after]
        if after - first == len(replacement):
            words += _replace_texts(
                original[first:after], replacement, is_unchanged=operation == "equal"
            )
        else:
            words += _share_time(replacement, _find_interval(original, first, after, interval))
    return tuple(replace(word, speaker=speaker) for word in _restore_spaces(words, text))


def _restore_spaces(words: Sequence[Word], text: str) -> Iterator[Word]:
    """Yield the words with the spaces between them as typed in *text*."""
    previous, position = "", 0
    for word in words:
        index = text.index(word.text, position)
        space = (
            find_unusual_space(previous, word.text, is_spaced=index > position)
            if previous
            else None
        )
        yield replace(word, space_before=space)
        previous, position = word.text, index + len(word.text)


def _replace_texts(
    original: Sequence[Word], tokens: Sequence[str], *, is_unchanged: bool
) -> Iterator[Word]:
    for word, text in zip(original, tokens, strict=True):
        yield replace(word, text=text, confidence=word.confidence if is_unchanged else None)


def _share_time(tokens: Sequence[str], interval: Interval) -> Iterator[Word]:
    def find_boundary(index: int) -> float:
        return min(interval.start + interval.duration * index / len(tokens), interval.end)

    for index, text in enumerate(tokens):
        yield Word(text, find_boundary(index), find_boundary(index + 1))


def _find_interval(
    original: Sequence[Word], first: int, after: int, interval: Interval
) -> Interval:
    """Return the time of the words from *first* to before *after*, or of the gap if there are none.


    The interval never reaches beyond the start of the next word.
    """
    end = original[after].start if after < len(original) else interval.end
    if first < after:
        start = original[first].start
        end = min(end, max(word.end for word in original[first:after]))
    else:
        start = original[first - 1].end if first else interval.start
    return Interval(min(start, end), end)


def _normalize_word(word: str) -> str:
    """Return the letters and digits of a word in folded case, or the whole word if it has none."""
    return "".join(filter(str.isalnum, word.casefold())) or word


def _split_words(text: str, known_words: Collection[str]) -> Iterator[str]:
    """Yield words as engines return them: in scripts without spaces, known words or characters."""
    for token in text.split():
        rest = token
        while rest:
            size = _measure_word(rest, known_words)
            yield rest[:size]
            rest = rest[size:]


def _measure_word(text: str, known_words: Collection[str]) -> int:
    if text in known_words:
        return len(text)
    size = max((len(word) for word in known_words if _is_first_word(text, word)), default=0)
    if not size and not is_unspaced(text[0]):
        return next(
            (index for index in range(1, len(text)) if _is_unspaced_start(text[index])), len(text)
        )
    size = size or 1
    while size < len(text) and _is_attached(text[size]):
        size += 1
    return size


def _is_first_word(text: str, word: str) -> bool:
    """Return whether *word* may be the first of *text*, followed by another without a space."""
    return text.startswith(word) and is_unspaced(word[-1:])


def _is_unspaced_start(character: str) -> bool:
    return is_unspaced(character) and not _is_attached(character)


def _is_attached(character: str) -> bool:
    """Return whether the character is a mark or punctuation, which belongs to the one before it."""
    return unicodedata.category(character)[0] in "MP"
