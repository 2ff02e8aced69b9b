"""Group words into sentences of one speaker."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from transcripts.text.boundaries import ends_sentence, pause_after, split_at_boundaries
from transcripts.types import Segment, Word

#: A pause this long ends a sentence; engines without punctuation give no other sign (seconds).
MAX_PAUSE_SECONDS = 0.8
#: A segment that a reader takes in at a glance, and a listener can jump to (seconds).
MAX_DURATION_SECONDS = 15.0
#: More words than nearly all spoken sentences have; 15 seconds at an ordinary pace.
MAX_WORDS = 40


def segment(
    words: Sequence[Word],
    *,
    max_pause: float = MAX_PAUSE_SECONDS,
    max_duration: float = MAX_DURATION_SECONDS,
    max_words: int = MAX_WORDS,
) -> tuple[Segment, ...]:
    """Return the words in segments, each word in exactly one, in the order of the words.

    A segment ends with a sentence, at a change of speaker, and before a pause of *max_pause*
    seconds. A segment that is too long is split at its best pause or clause. Only a segment of a
    single word can be longer than *max_duration* seconds.
    """
    return tuple(
        Segment(tuple(part), part[0].speaker)
        for sentence in _split_sentences(words, max_pause)
        for part in _split_sentence(sentence, max_duration, max_words)
    )


def _split_sentences(words: Sequence[Word], max_pause: float) -> Iterator[Sequence[Word]]:
    first = 0
    for index in range(1, len(words)):
        if _is_end(words[index - 1], words[index], max_pause):
            yield words[first:index]
            first = index
    if words:
        yield words[first:]


def _is_end(word: Word, following: Word, max_pause: float) -> bool:
    return (
        word.speaker != following.speaker
        or pause_after(word, following) >= max_pause
        or ends_sentence(word, following)
    )


def _split_sentence(
    sentence: Sequence[Word], max_duration: float, max_words: int
) -> Iterator[Sequence[Word]]:
    def find_limit(first: int) -> int:
        last = min(len(sentence), first + max(1, max_words))
        latest = sentence[first].start + max_duration
        for index in range(first + 1, last):
            # An earlier word may end later.
            if max(sentence[index - 1].end, sentence[index].end) > latest:
                return index
        return last

    return split_at_boundaries(sentence, find_limit)
