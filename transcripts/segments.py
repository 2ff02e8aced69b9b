"""Puts words together to sentences of one speaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transcripts.borders import cut, ends_sentence, pause_after
from transcripts.types import Segment, Word

#: Engines without punctuation leave only this to tell sentences by (seconds).
MAX_GAP = 0.8
#: What a reader takes in at a glance, and a listener jumps to (seconds).
MAX_DURATION = 15.0
#: Longer than nearly every sentence that is said, 15 seconds at an ordinary pace.
MAX_WORDS = 40


def segment(
    words: Sequence[Word],
    *,
    max_gap: float = MAX_GAP,
    max_duration: float = MAX_DURATION,
    max_words: int = MAX_WORDS,
) -> tuple[Segment, ...]:
    """Every word in exactly one segment, in the order of the words.

    A segment ends with the sentence, with a change of speaker, and before a pause of *max_gap*.
    One that grows too long is cut at its best pause or clause. Only a single word can be longer
    than *max_duration*.
    """
    return tuple(
        Segment(tuple(part), part[0].speaker)
        for sentence in _sentences(words, max_gap)
        for part in _parts(sentence, max_duration, max_words)
    )


def _sentences(words: Sequence[Word], max_gap: float) -> Iterator[Sequence[Word]]:
    first = 0
    for at in range(1, len(words)):
        if _is_end(words[at - 1], words[at], max_gap):
            yield words[first:at]
            first = at
    if words:
        yield words[first:]


def _is_end(word: Word, following: Word, max_gap: float) -> bool:
    return (
        word.speaker != following.speaker
        or pause_after(word, following) >= max_gap
        or ends_sentence(word, following)
    )


def _parts(
    sentence: Sequence[Word], max_duration: float, max_words: int
) -> Iterator[Sequence[Word]]:
    def room(first: int) -> int:
        last = min(len(sentence), first + max(1, max_words))
        latest = sentence[first].start + max_duration
        for at in range(first + 1, last):
            # An earlier word may end later.
            if max(sentence[at - 1].end, sentence[at].end) > latest:
                return at
        return last

    return cut(sentence, room)
