"""Join words of scripts without spaces where no line may break between them.

Engines return such scripts in tokens of one to three characters. ICU's dictionaries contain where a
reader would divide them: at words for Chinese, Thai, Lao, Khmer and Burmese, at phrases
(*bunsetsu*) for Japanese. No line begins with a mark that belongs to the line before (UAX #14).
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import accumulate

from icu4py.breakers import LineBreaker, WordBreaker

from transcripts.spacing import find_separator_before, is_unspaced
from transcripts.types import Word

_KANA = re.compile(r"[\u3041-\u30ff]")


def join_phrases(words: Iterable[Word]) -> Iterator[Word]:
    """Yield the words with each phrase joined to one word; words of other scripts are unchanged."""
    run: list[Word] = []
    for word in words:
        if run and not _is_continued(run[-1], word):
            yield from _join_run(run)
            run = []
        run.append(word)
    yield from _join_run(run)


def find_breaks(text: str) -> set[int]:
    """Return the indices in the text at which a line may break."""
    locale = "ja-u-lw-phrase" if _KANA.search(text) else "und"
    by_line, by_word = (
        set(accumulate(map(len, breaker(text, locale)))) for breaker in (LineBreaker, WordBreaker)
    )
    return (by_line & by_word) - {0, len(text)}


def _is_continued(word: Word, following: Word) -> bool:
    """Return whether both are written without a space, and at least one by its script."""
    if find_separator_before(word.text, following):
        return False
    return is_unspaced(word.text[-1:]) or is_unspaced(following.text[:1])


def _join_run(run: Sequence[Word]) -> Iterator[Word]:
    if len(run) < 2:
        yield from run
        return
    breaks = find_breaks("".join(word.text for word in run))
    phrase, position = run[0], len(run[0].text)
    for word in run[1:]:
        if position in breaks:
            yield phrase
            phrase = word
        else:
            end = max(phrase.end, word.end)
            phrase = replace(phrase, text=phrase.text + word.text, end=end)
        position += len(word.text)
    yield phrase
