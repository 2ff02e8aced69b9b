"""Times for words: shared out by length, filled in where some are missing, fitted to the text."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from transcripts.spacing import gap, is_unspaced
from transcripts.types import Span, Word

#: Characters of the text that a timed word may leave out before it.
FARTHEST = 40


def fill(words: Sequence[Word], window: Span) -> list[Word]:
    """Give times to words that have none, between those of their neighbours."""
    filled: list[Word] = []
    for is_timed, run in itertools.groupby(words, key=lambda word: word.start <= word.end):
        some = list(run)
        if is_timed:
            filled += some
            continue
        start = filled[-1].end if filled else window.start
        later = words[len(filled) + len(some) :]
        end = max(start, later[0].start if later else window.end)
        filled += spread([word.text for word in some], Span(start, end))
    return filled


def spread(texts: Sequence[str], span: Span) -> list[Word]:
    """Share a stretch of time out among words, by their length."""
    lengths = [0, *itertools.accumulate(len(text) for text in texts)]
    places = [span.start + span.duration * length / max(1, lengths[-1]) for length in lengths]
    return [
        Word(text, start, end)
        for text, (start, end) in zip(texts, itertools.pairwise(places), strict=True)
    ]


def spread_text(text: str, span: Span) -> list[Word]:
    """The words of a text of which only the whole has a time."""
    return fit(text, spread(list(_split(text)), span), span)


def fit(text: str, timed: Sequence[Word], window: Span) -> list[Word]:
    """The words of *text* as it is written, with the times of *timed*, in order.

    Engines time tokens: parts of words, words without punctuation, or a text that differs a
    little. Joined by `transcripts.spacing.join_words`, the result is *text* with its white space
    folded: ``409``, ``-866`` becomes ``409-866``. Where a script sets no spaces each token stays
    a word. Without any timed words, the words share the *window*.
    """
    if not timed:
        return spread_text(text, window) if text.split() else []
    pieces: list[Word] = []
    for piece in _pieces(text, timed):
        pieces += _parts(piece)
    return _glue(pieces)


def _pieces(text: str, timed: Sequence[Word]) -> Iterator[Word]:
    """The whole text, divided where timed words begin."""
    begin, now, done = 0, timed[0], 0
    for word in timed:
        bare = word.text.strip()
        at = _find(text, bare, done) if bare else -1
        if at < 0:
            # What the text does not have lends its time to the piece before.
            now = replace(now, end=max(now.end, word.end))
            continue
        before = text[begin:at].rstrip()
        if before:
            yield replace(now, text=before)
            begin += len(before)  # the space before a word stays with it
        now = word
        done = at + len(bare)
    yield replace(now, text=text[begin:])


def _find(text: str, word: str, start: int) -> int:
    """Where the text goes on with the word, from *start* on; -1 if it does so nowhere near."""
    at = text.find(word, start, start + FARTHEST + len(word))
    if at < 0:
        lower = text.lower()
        if len(lower) != len(text):
            return -1
        at = lower.find(word.lower(), start, start + FARTHEST + len(word))
    skipped = text[start:at] if at >= 0 else ""
    is_inside_word = any(map(str.isalnum, skipped)) and skipped[-1].isalnum()
    return -1 if is_inside_word else at


def _parts(piece: Word) -> list[Word]:
    """The piece, divided at its white space; the space before each part stays with it."""
    texts = re.findall(r"\s*\S+", piece.text)
    parts = spread(texts, Span(piece.start, max(piece.start, piece.end)))
    if len(parts) == 1:
        return [replace(piece, text=texts[0])]
    return [replace(part, confidence=piece.confidence) for part in parts]


def _glue(pieces: Sequence[Word]) -> list[Word]:
    """Words out of parts of words, each with what stands before it if that is not as usual."""
    words: list[Word] = []
    for piece in pieces:
        bare, is_spaced = piece.text.strip(), piece.text[:1].isspace()
        if not words:
            words.append(replace(piece, text=bare))
        elif is_spaced or _is_border(words[-1].text, bare):
            is_usual = gap(words[-1].text, bare) == (" " if is_spaced else "")
            words.append(replace(piece, text=bare, space_before=None if is_usual else is_spaced))
        else:
            words[-1] = _unite(words[-1], replace(piece, text=bare))
    return words


def _is_border(text: str, following: str) -> bool:
    """Whether a word ends where no space stands: beside a script that sets none."""
    if not (_has_letters(text) and _has_letters(following)):
        return False  # punctuation belongs to the word beside it
    return is_unspaced(text[-1]) or is_unspaced(following[0])


def _has_letters(text: str) -> bool:
    return any(map(str.isalnum, text))


def _unite(first: Word, second: Word) -> Word:
    text = first.text + second.text
    return replace(
        first,
        text=text,
        end=max(first.end, second.end),
        confidence=_mean(first, second),
    )


def _mean(first: Word, second: Word) -> float | None:
    """The confidence of both, by their length."""
    if first.confidence is None or second.confidence is None:
        return first.confidence if second.confidence is None else second.confidence
    sizes = len(first.text), len(second.text)
    return (first.confidence * sizes[0] + second.confidence * sizes[1]) / sum(sizes)


def _split(text: str) -> Iterator[str]:
    """Words at white space, and characters where a script sets none."""
    for piece in text.split():
        run = ""
        for character in piece:
            if run and (is_unspaced(character) or is_unspaced(run[-1])):
                yield run
                run = ""
            run += character
        yield run
