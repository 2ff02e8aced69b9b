"""Join words as their language is written: with spaces, or in some scripts without."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

# Thai, Lao, Burmese, Khmer, Chinese and Japanese with their punctuation. Korean has spaces.
_UNSPACED = re.compile(
    r"[\u0e00-\u0e7f\u0e80-\u0eff\u1000-\u109f\uaa60-\uaa7f\ua9e0-\ua9ff\u1780-\u17ff"
    r"\u2e80-\u2fdf\u3000-\u312f\u3190-\u31ff\u3400-\u4dbf\u4e00-\u9fff\uf900-\ufaff"
    r"\ufe30-\ufe4f\uff01-\uff0f\uff1a-\uff20\uff3b-\uff40\uff5b-\uff9f\U00020000-\U000323af]"
)
#: Most words are of scripts below this code point; the check skips the regular expression for them.
_FIRST_UNSPACED = "\u0e00"


class Spaced(Protocol):
    """A word with the information whether a space precedes it."""

    @property
    def text(self) -> str: ...

    @property
    def space_before(self) -> bool | None: ...


def is_unspaced(character: str) -> bool:
    """Return whether the character belongs to a script without spaces between words."""
    return character >= _FIRST_UNSPACED and _UNSPACED.match(character) is not None


def find_separator(text: str, following: str) -> str:
    """Return the separator of two words: empty where both are of a script without spaces.

    Between such a word and one of another script there is a space, as many people write it.
    """
    return "" if is_unspaced(text[-1:]) and is_unspaced(following[:1]) else " "


def find_unusual_space(text: str, following: str, *, is_spaced: bool) -> bool | None:
    """Return what to store as ``space_before``: None if it agrees with `find_separator`."""
    return None if find_separator(text, following) == (" " if is_spaced else "") else is_spaced


def find_separator_before(text: str, word: Spaced) -> str:
    """Return the separator between *text* and the word that follows it."""
    if word.space_before is None:
        return find_separator(text, word.text)
    return " " if word.space_before else ""


def join_texts(texts: Iterable[str]) -> str:
    """Join the texts with their separators; empty texts are left out."""
    parts: list[str] = []
    for text in filter(None, texts):
        if parts:
            parts.append(find_separator(parts[-1], text))
        parts.append(text)
    return "".join(parts)


def join_words(words: Iterable[Spaced]) -> str:
    """Join the words with the spaces as written; empty words are left out."""
    parts: list[str] = []
    for word in words:
        if not word.text:
            continue
        if parts:
            parts.append(find_separator_before(parts[-1], word))
        parts.append(word.text)
    return "".join(parts)
