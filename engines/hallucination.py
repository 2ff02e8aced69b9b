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
MOST_COMPRESSION = 2.4
#: Bytes of text below which packing it says nothing.
LEAST_TEXT = 80
#: Mean log-probability of a piece of text below which it was hardly understood.
LEAST_LOGPROB = -1.0
#: Probability that there is no speech, and mean log-probability below which the text then is none
#: that was said. The surer the model is of the one, the less it must doubt the other.
NO_SPEECH = ((0.5, -0.8), (0.8, -0.5))
#: Words, and characters, that nobody says in a second.
MOST_WORDS, MOST_CHARACTERS = 8.0, 40.0
#: Seconds that are granted when counting them: the edges of speech are soft.
GRACE = 0.5
#: Times in a row that a phrase is not said on purpose; a single word may be said more often.
MOST_PHRASES, MOST_SAME_WORDS = 4, 9
#: Words of the longest phrase that is looked for.
LONGEST_PHRASE = 8
#: Share of the text that the repetition must take.
LEAST_SHARE = 0.5
#: Signs that speech is missing which make a known phrase an invention.
UNSURE_OF_PHRASE, NO_SPEECH_FOR_PHRASE = -0.6, 0.3

#: What Whisper learned from subtitles, and says when it hears nothing.
KNOWN_INVENTIONS = frozenset(
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
_PLAIN = frozenset({Sign.NO_SPEECH, Sign.KNOWN, Sign.ECHO})


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
    read: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The signs against a guess, gravest first; none for one to believe."""

    signs: tuple[Sign, ...] = ()

    @property
    def is_invented(self) -> bool:
        """Whether the words are better left out."""
        return len(self.signs) > 1 or not _PLAIN.isdisjoint(self.signs)

    @property
    def reason(self) -> str:
        return " and ".join(self.signs)


def judge(guess: Guess) -> Verdict:
    """Look for signs that the words were not said."""
    if not guess.text.strip():
        return Verdict()
    found = {
        Sign.NO_SPEECH: _is_no_speech(guess),
        Sign.KNOWN: _is_known(guess),
        Sign.ECHO: _is_echo(guess),
        Sign.REPEATS: _repeats(guess.text),
        Sign.TOO_FAST: _is_too_fast(guess),
        Sign.UNSURE: guess.logprob < LEAST_LOGPROB,
    }
    return Verdict(tuple(sign for sign, is_there in found.items() if is_there))


def _is_no_speech(guess: Guess) -> bool:
    has_words = any(map(str.isalnum, guess.text))
    is_unlikely = any(
        guess.no_speech > no_speech and (guess.logprob < logprob or _repeats(guess.text))
        for no_speech, logprob in NO_SPEECH
    )
    return is_unlikely or not has_words


def _is_known(guess: Guess) -> bool:
    return _is_unsure_of_phrase(guess) and _folded(guess.text) in KNOWN_INVENTIONS


def _is_echo(guess: Guess) -> bool:
    text = _folded(guess.text)
    is_read = bool(text) and f" {text} " in f" {_folded(guess.read)} "
    return is_read and _is_unsure_of_phrase(guess)


def _is_unsure_of_phrase(guess: Guess) -> bool:
    return guess.logprob < UNSURE_OF_PHRASE or guess.no_speech > NO_SPEECH_FOR_PHRASE


def _folded(text: str) -> str:
    return " ".join(_WORD.findall(text.lower()))


def _repeats(text: str) -> bool:
    return _compression(text) > MOST_COMPRESSION or _is_loop(_units(text))


def _compression(text: str) -> float:
    data = text.strip().encode()
    return len(data) / len(zlib.compress(data)) if len(data) >= LEAST_TEXT else 0.0


def _units(text: str) -> Sequence[str]:
    """The words; or the characters, where a language is written without spaces."""
    words = _WORD.findall(text.lower())
    letters = sum(map(len, words))
    return words if letters <= 15 * len(words) else "".join(words)


def _is_loop(units: Sequence[str]) -> bool:
    """Whether one phrase, said again and again, is most of the text."""
    for length in range(1, min(LONGEST_PHRASE, len(units) // 2) + 1):
        most = MOST_SAME_WORDS if length == 1 else MOST_PHRASES
        times = _longest_run(units, length) // length + 1
        if times > most and times * length >= LEAST_SHARE * len(units):
            return True
    return False


def _longest_run(units: Sequence[str], length: int) -> int:
    """The most units in a row that are each the same as the one *length* before."""
    longest = run = 0
    for before, now in zip(units, units[length:], strict=False):
        run = run + 1 if before == now else 0
        longest = max(longest, run)
    return longest


def _is_too_fast(guess: Guess) -> bool:
    seconds = guess.seconds + GRACE
    characters = len("".join(guess.text.split()))
    return len(guess.text.split()) > MOST_WORDS * seconds or characters > MOST_CHARACTERS * seconds
