"""Gives times to a text that somebody typed in the place of what was heard.

Words that were heard keep theirs; they are found by the longest runs that both texts share
(`difflib`, after Ratcliff and Obershelp).
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
    """The words of *text*, said in *interval* by *speaker*, timed by what was *original* there.

    *original* is in the order of its starts. A word that was heard keeps time and confidence, also
    where its case and punctuation are others now. As many words in the place of as many take their
    times; any others share evenly the time of those they replace, or the gap that they fill, which
    may be no time at all. What was typed has no confidence.
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
    """The words, with the spaces between them that somebody typed."""
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
    """The time of some words, or of the gap where there are none; never beyond the next word."""
    end = original[after].start if after < len(original) else interval.end
    if first < after:
        start = original[first].start
        end = min(end, max(word.end for word in original[first:after]))
    else:
        start = original[first - 1].end if first else interval.start
    return Interval(min(start, end), end)


def _normalize_word(word: str) -> str:
    """The letters and digits of a word, whatever their case; of what has none, all of it."""
    return "".join(filter(str.isalnum, word.casefold())) or word


def _split_words(text: str, known_words: Collection[str]) -> Iterator[str]:
    """Words as engines give them: where a script sets no spaces, the known ones or characters."""
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
    """Whether it may be the first word, with the next one right behind it."""
    return text.startswith(word) and is_unspaced(word[-1:])


def _is_unspaced_start(character: str) -> bool:
    return is_unspaced(character) and not _is_attached(character)


def _is_attached(character: str) -> bool:
    """Marks and punctuation belong to what stands before them."""
    return unicodedata.category(character)[0] in "MP"
