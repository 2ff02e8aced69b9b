"""Gives times to a text that somebody typed in the place of what was heard.

Words that were heard keep theirs; they are found by the longest runs that both texts share
(`difflib`, after Ratcliff and Obershelp).
"""

from __future__ import annotations

import unicodedata
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from difflib import SequenceMatcher

from transcripts.spacing import is_unspaced, unusual_space
from transcripts.types import Span, Word


def retyped(
    heard: Sequence[Word], text: str, place: Span, speaker: int | None = None
) -> tuple[Word, ...]:
    """The words of *text*, said in *place* by *speaker*, timed by what was *heard* there.

    *heard* is in the order of its starts. A word that was heard keeps time and confidence, also
    where its case and punctuation are others now. As many words in the place of as many take their
    times; any others share evenly the time of those they replace, or the gap that they fill, which
    may be no time at all. What was typed has no confidence.
    """
    typed = list(_split(text, {word.text for word in heard}))
    folded = [_folded(word.text) for word in heard], [_folded(one) for one in typed]
    words: list[Word] = []
    matcher = SequenceMatcher(None, *folded, autojunk=False)
    for what, first, after, typed_first, typed_after in matcher.get_opcodes():
        new = typed[typed_first:typed_after]
        if after - first == len(new):
            words += _in_place(heard[first:after], new, is_heard=what == "equal")
        else:
            words += _sharing(new, _room(heard, first, after, place))
    return tuple(replace(word, speaker=speaker) for word in _as_typed(words, text))


def _as_typed(words: Sequence[Word], text: str) -> Iterator[Word]:
    """The words, with the spaces between them that somebody typed."""
    before, done = "", 0
    for word in words:
        at = text.index(word.text, done)
        space = unusual_space(before, word.text, is_spaced=at > done) if before else None
        yield replace(word, space_before=space)
        before, done = word.text, at + len(word.text)


def _in_place(heard: Sequence[Word], typed: Sequence[str], *, is_heard: bool) -> Iterator[Word]:
    for word, text in zip(heard, typed, strict=True):
        yield replace(word, text=text, confidence=word.confidence if is_heard else None)


def _sharing(typed: Sequence[str], room: Span) -> Iterator[Word]:
    def border(at: int) -> float:
        return min(room.start + room.duration * at / len(typed), room.end)

    for at, text in enumerate(typed):
        yield Word(text, border(at), border(at + 1))


def _room(heard: Sequence[Word], first: int, after: int, place: Span) -> Span:
    """The time of some words, or of the gap where there are none; never beyond the next word."""
    end = heard[after].start if after < len(heard) else place.end
    if first < after:
        start = heard[first].start
        end = min(end, max(word.end for word in heard[first:after]))
    else:
        start = heard[first - 1].end if first else place.start
    return Span(min(start, end), end)


def _folded(word: str) -> str:
    """The letters and digits of a word, whatever their case; of what has none, all of it."""
    return "".join(filter(str.isalnum, word.casefold())) or word


def _split(text: str, known: Collection[str]) -> Iterator[str]:
    """Words as engines give them: where a script sets no spaces, the known ones or characters."""
    for piece in text.split():
        rest = piece
        while rest:
            size = _size(rest, known)
            yield rest[:size]
            rest = rest[size:]


def _size(text: str, known: Collection[str]) -> int:
    if text in known:
        return len(text)
    size = max((len(word) for word in known if _begins_with(text, word)), default=0)
    if not size and not is_unspaced(text[0]):
        return next((at for at in range(1, len(text)) if _begins_unspaced(text[at])), len(text))
    size = size or 1
    while size < len(text) and _hangs_on(text[size]):
        size += 1
    return size


def _begins_with(text: str, word: str) -> bool:
    """Whether it may be the first word, with the next one right behind it."""
    return text.startswith(word) and is_unspaced(word[-1:])


def _begins_unspaced(character: str) -> bool:
    return is_unspaced(character) and not _hangs_on(character)


def _hangs_on(character: str) -> bool:
    """Marks and punctuation belong to what stands before them."""
    return unicodedata.category(character)[0] in "MP"
