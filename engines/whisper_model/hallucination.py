"""Doubts what a model says it heard: Whisper goes on talking where nobody does.

Pure functions of what it said and how sure it was. One sign of invention gives a warning; two, or
one that is plain enough, and the words are left out. The thresholds are those that Whisper itself
tries again at.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Text that can be packed tighter than this repeats itself.
MAX_COMPRESSION = 2.4
#: Bytes of text below which packing it says nothing.
MIN_TEXT_BYTES = 80
#: Mean log-probability of a piece of text below which it was hardly understood.
MIN_LOGPROB = -1.0
#: Probability that there is no speech, and mean log-probability below which the text then is none
#: that was said. The surer the model is of the one, the less it must doubt the other.
NO_SPEECH_THRESHOLDS = ((0.5, -0.8), (0.8, -0.5))
#: Words, and characters, that nobody says in a second.
MAX_WORDS_PER_SECOND, MAX_CHARACTERS_PER_SECOND = 8.0, 40.0
#: Seconds that are granted when counting them: the edges of speech are soft.
GRACE_SECONDS = 0.5
#: Times in a row that a phrase is not said on purpose; a single word may be said more often.
MAX_PHRASE_REPEATS, MAX_WORD_REPEATS = 4, 9
#: Words of the longest phrase that is looked for.
MAX_PHRASE_WORDS = 8
#: Share of the text that the repetition must take.
MIN_REPEATED_SHARE = 0.5
#: Signs that speech is missing which make a known phrase an invention.
MAX_PHRASE_LOGPROB, MIN_PHRASE_NO_SPEECH = -0.6, 0.3

#: What Whisper learned from subtitles, and says when it hears nothing.
KNOWN_HALLUCINATIONS = frozenset(
    {
        "thank you for watching",
        "thanks for watching",
        "please subscribe to my channel",
        "subtitles by the amara org community",
        "untertitel der amara org community",
        "untertitel im auftrag des zdf für funk 2017",
        "sous titres réalisés par la communauté d amara org",
        "subtítulos realizados por la comunidad de amara org",
        "legendas pela comunidade amara org",
        "sottotitoli creati dalla comunità amara org",
    }
)

_WORD = re.compile(r"\w+")


class Sign(StrEnum):
    """A sign that words were invented, as people are told."""

    NO_SPEECH = "there seems to be no speech"
    KNOWN = "it is a phrase that the model is known to invent"
    ECHO = "it only repeats the prompt"
    REPEATS = "it repeats itself"
    TOO_FAST = "nobody speaks that fast"
    UNSURE = "it was hardly understood"


#: One of these is enough.
_DECISIVE_SIGNS = frozenset({Sign.NO_SPEECH, Sign.KNOWN, Sign.ECHO})


@dataclass(frozen=True, slots=True)
class Guess:
    """What a model says was said, and how sure it is."""

    text: str
    #: Seconds of sound that can hold it.
    seconds: float
    #: Mean log-probability of the tokens.
    logprob: float = 0.0
    #: Probability that there is no speech at all.
    no_speech: float = 0.0
    #: What the model had read before it listened: it may say that, when it hears nothing.
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The signs against a guess, gravest first; none for one to believe."""

    signs: tuple[Sign, ...] = ()

    @property
    def is_invented(self) -> bool:
        """Whether the words are better left out."""
        return len(self.signs) > 1 or not _DECISIVE_SIGNS.isdisjoint(self.signs)

    @property
    def reason(self) -> str:
        return " and ".join(self.signs)


def judge(guess: Guess) -> Verdict:
    """Look for signs that the words were not said."""
    if not guess.text.strip():
        return Verdict()
    checks = {
        Sign.NO_SPEECH: _is_no_speech(guess),
        Sign.KNOWN: _is_known_phrase(guess),
        Sign.ECHO: _is_echo(guess),
        Sign.REPEATS: _is_repetitive(guess.text),
        Sign.TOO_FAST: _is_too_fast(guess),
        Sign.UNSURE: guess.logprob < MIN_LOGPROB,
    }
    return Verdict(tuple(sign for sign, is_present in checks.items() if is_present))


def _is_no_speech(guess: Guess) -> bool:
    has_words = any(map(str.isalnum, guess.text))
    is_unlikely = any(
        guess.no_speech > no_speech and (guess.logprob < logprob or _is_repetitive(guess.text))
        for no_speech, logprob in NO_SPEECH_THRESHOLDS
    )
    return is_unlikely or not has_words


def _is_known_phrase(guess: Guess) -> bool:
    return _is_unsure_of_phrase(guess) and _normalize_text(guess.text) in KNOWN_HALLUCINATIONS


def _is_echo(guess: Guess) -> bool:
    text = _normalize_text(guess.text)
    is_read = bool(text) and f" {text} " in f" {_normalize_text(guess.prompt)} "
    return is_read and _is_unsure_of_phrase(guess)


def _is_unsure_of_phrase(guess: Guess) -> bool:
    return guess.logprob < MAX_PHRASE_LOGPROB or guess.no_speech > MIN_PHRASE_NO_SPEECH


def _normalize_text(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _is_repetitive(text: str) -> bool:
    return _compression_ratio(text) > MAX_COMPRESSION or _is_loop(_split_units(text))


def _compression_ratio(text: str) -> float:
    encoded = text.strip().encode()
    return len(encoded) / len(zlib.compress(encoded)) if len(encoded) >= MIN_TEXT_BYTES else 0.0


def _split_units(text: str) -> Sequence[str]:
    """The words; or the characters, where a language is written without spaces."""
    words = _WORD.findall(text.lower())
    letters = sum(map(len, words))
    return words if letters <= 15 * len(words) else "".join(words)


def _is_loop(units: Sequence[str]) -> bool:
    """Whether one phrase, said again and again, is most of the text."""
    for length in range(1, min(MAX_PHRASE_WORDS, len(units) // 2) + 1):
        limit = MAX_WORD_REPEATS if length == 1 else MAX_PHRASE_REPEATS
        repeats = _find_longest_run(units, length) // length + 1
        if repeats > limit and repeats * length >= MIN_REPEATED_SHARE * len(units):
            return True
    return False


def _find_longest_run(units: Sequence[str], length: int) -> int:
    """The most units in a row that are each the same as the one *length* before."""
    longest = run = 0
    for before, now in zip(units, units[length:], strict=False):
        run = run + 1 if before == now else 0
        longest = max(longest, run)
    return longest


def _is_too_fast(guess: Guess) -> bool:
    seconds = guess.seconds + GRACE_SECONDS
    characters = len("".join(guess.text.split()))
    return (
        len(guess.text.split()) > MAX_WORDS_PER_SECOND * seconds
        or characters > MAX_CHARACTERS_PER_SECOND * seconds
    )
