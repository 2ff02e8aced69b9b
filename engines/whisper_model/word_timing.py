"""Word times: shared by length, interpolated where missing, fitted to the text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from transcripts.spacing import find_unusual_space, is_unspaced
from transcripts.types import Interval, Word

#: Most characters of the text between two timed words that have no timed word.
MAX_SKIPPED_CHARACTERS = 40


def fill_times(words: Sequence[Word], window: Interval) -> list[Word]:
    """Assign times to words without times, between those of their neighbours."""
    filled: list[Word] = []
    for is_timed, run in itertools.groupby(words, key=lambda word: word.start <= word.end):
        run_words = list(run)
        if is_timed:
            filled += run_words
            continue
        start = filled[-1].end if filled else window.start
        later_words = words[len(filled) + len(run_words) :]
        end = max(start, later_words[0].start if later_words else window.end)
        filled += spread_words([word.text for word in run_words], Interval(start, end))
    return filled


def spread_words(texts: Sequence[str], interval: Interval) -> list[Word]:
    """Share an interval among words, in proportion to their length."""
    lengths = [0, *itertools.accumulate(len(text) for text in texts)]
    boundaries = [
        interval.start + interval.duration * length / max(1, lengths[-1]) for length in lengths
    ]
    return [
        Word(text, start, end)
        for text, (start, end) in zip(texts, itertools.pairwise(boundaries), strict=True)
    ]


def spread_text(text: str, interval: Interval) -> list[Word]:
    """Return the words of a text that has a time only as a whole."""
    return fit_words(text, spread_words(list(_split_words(text)), interval), interval)


def fit_words(text: str, timed_words: Sequence[Word], window: Interval) -> list[Word]:
    """Return the words of *text* as written, with the times of *timed_words*, in order.

    Engines time tokens: parts of words, words without punctuation, or a slightly different text.
    Joined by `transcripts.spacing.join_words`, the result is *text* with its white space folded:
    ``409``, ``-866`` becomes ``409-866``. In scripts without spaces each token remains a word.
    Without timed words, the words share the *window*.
    """
    if not timed_words:
        return spread_text(text, window) if text.split() else []
    pieces: list[Word] = []
    for piece in _split_at_words(text, timed_words):
        pieces += _split_at_spaces(piece)
    return _join_pieces(pieces)


def _split_at_words(text: str, timed_words: Sequence[Word]) -> Iterator[Word]:
    """Yield the whole text, divided where timed words begin."""
    begin, current, position = 0, timed_words[0], 0
    for word in timed_words:
        bare = word.text.strip()
        index = _find_word(text, bare, position) if bare else -1
        if index < 0:
            # The time of a word that the text lacks extends the piece before.
            current = replace(current, end=max(current.end, word.end))
            continue
        before = text[begin:index].rstrip()
        if before:
            yield replace(current, text=before)
            begin += len(before)  # the space before a word stays with it
        current = word
        position = index + len(bare)
    yield replace(current, text=text[begin:])


def _find_word(text: str, word: str, start: int) -> int:
    """Return the next index of the word in the text, near *start*; -1 if there is none."""
    index = text.find(word, start, start + MAX_SKIPPED_CHARACTERS + len(word))
    if index < 0:
        lower = text.lower()
        if len(lower) != len(text):
            return -1
        index = lower.find(word.lower(), start, start + MAX_SKIPPED_CHARACTERS + len(word))
    skipped = text[start:index] if index >= 0 else ""
    is_inside_word = any(map(str.isalnum, skipped)) and skipped[-1].isalnum()
    return -1 if is_inside_word else index


def _split_at_spaces(piece: Word) -> list[Word]:
    """Divide the piece at its white space; the space before each part stays with it."""
    texts = re.findall(r"\s*\S+", piece.text)
    parts = spread_words(texts, Interval(piece.start, max(piece.start, piece.end)))
    if len(parts) == 1:
        return [replace(piece, text=texts[0])]
    return [replace(part, confidence=piece.confidence) for part in parts]


def _join_pieces(pieces: Sequence[Word]) -> list[Word]:
    """Join parts to words; an unusual space before a word is recorded."""
    words: list[Word] = []
    for piece in pieces:
        bare, is_spaced = piece.text.strip(), piece.text[:1].isspace()
        if not words:
            words.append(replace(piece, text=bare))
        elif is_spaced or _is_boundary(words[-1].text, bare):
            space = find_unusual_space(words[-1].text, bare, is_spaced=is_spaced)
            words.append(replace(piece, text=bare, space_before=space))
        else:
            words[-1] = _merge_words(words[-1], replace(piece, text=bare))
    return words


def _is_boundary(text: str, following: str) -> bool:
    """Return whether a word ends without a space, next to a script without spaces."""
    if not (_has_letters(text) and _has_letters(following)):
        return False  # punctuation belongs to the word beside it
    return is_unspaced(text[-1]) or is_unspaced(following[0])


def _has_letters(text: str) -> bool:
    return any(map(str.isalnum, text))


def _merge_words(first: Word, second: Word) -> Word:
    text = first.text + second.text
    return replace(
        first,
        text=text,
        end=max(first.end, second.end),
        confidence=_mean_confidence(first, second),
    )


def _mean_confidence(first: Word, second: Word) -> float | None:
    """Return the mean confidence, weighted by the words' lengths."""
    if first.confidence is None or second.confidence is None:
        return first.confidence if second.confidence is None else second.confidence
    sizes = len(first.text), len(second.text)
    return (first.confidence * sizes[0] + second.confidence * sizes[1]) / sum(sizes)


def _split_words(text: str) -> Iterator[str]:
    """Yield words at white space, and characters in scripts without spaces."""
    for piece in text.split():
        run = ""
        for character in piece:
            if run and (is_unspaced(character) or is_unspaced(run[-1])):
                yield run
                run = ""
            run += character
        yield run
