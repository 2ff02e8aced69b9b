"""Detect hallucinations: Whisper can write text where there is no speech.

Pure functions of the text and the model's confidence. One sign of hallucination causes a warning.
Two signs, or one decisive sign, cause the words to be dropped. The thresholds are those at which
Whisper itself retries.
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

#: Text with a higher compression ratio is repetitive.
MAX_COMPRESSION = 2.4
#: Text with fewer bytes has no meaningful compression ratio.
MIN_TEXT_BYTES = 80
#: Text with a lower mean log-probability was hardly understood.
MIN_LOGPROB = -1.0
#: Pairs of a no-speech probability and a mean log-probability: text above the first and below the
#: second is no speech. A higher no-speech probability needs less doubt about the text.
NO_SPEECH_THRESHOLDS = ((0.5, -0.8), (0.8, -0.5))
#: More words, or characters, than anybody says per second.
MAX_WORDS_PER_SECOND, MAX_CHARACTERS_PER_SECOND = 8.0, 40.0
#: Seconds added to the duration for these rates, since the edges of speech are not exact.
GRACE_SECONDS = 0.5
#: Most intentional repetitions of a phrase; a single word may be repeated more often.
MAX_PHRASE_REPEATS, MAX_WORD_REPEATS = 4, 9
#: Words of the longest phrase that is checked for repetition.
MAX_PHRASE_WORDS = 8
#: Share of the text that the repetition must cover.
MIN_REPEATED_SHARE = 0.5
#: Confidence limits beyond which a known phrase counts as a hallucination.
MAX_PHRASE_LOGPROB, MIN_PHRASE_NO_SPEECH = -0.6, 0.3

#: Phrases that Whisper learned from subtitles and writes where there is no speech.
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
    """A sign that words were hallucinated; the values are texts for users."""

    NO_SPEECH = "there is probably no speech"
    KNOWN = "it is a known hallucination of the model"
    ECHO = "it only repeats the prompt"
    REPEATS = "it repeats itself"
    TOO_FAST = "the words are too fast for speech"
    UNSURE = "the model is very unsure"


#: One of these is enough.
_DECISIVE_SIGNS = frozenset({Sign.NO_SPEECH, Sign.KNOWN, Sign.ECHO})


@dataclass(frozen=True, slots=True)
class Guess:
    """Text from a model, with its confidence."""

    text: str
    #: Seconds of audio that can contain the text.
    seconds: float
    #: Mean log-probability of the tokens.
    logprob: float = 0.0
    #: Probability that there is no speech at all.
    no_speech: float = 0.0
    #: The model's prompt, which it may repeat where there is no speech.
    prompt: str = ""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The signs against a text, most serious first; empty if there is no doubt."""

    signs: tuple[Sign, ...] = ()

    @property
    def is_invented(self) -> bool:
        """Return whether the words should be dropped."""
        return len(self.signs) > 1 or not _DECISIVE_SIGNS.isdisjoint(self.signs)

    @property
    def reason(self) -> str:
        return " and ".join(self.signs)


def judge(guess: Guess) -> Verdict:
    """Check a text for signs of hallucination."""
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
    """Return the words, or the characters if the language is written without spaces."""
    words = _WORD.findall(text.lower())
    letters = sum(map(len, words))
    return words if letters <= 15 * len(words) else "".join(words)


def _is_loop(units: Sequence[str]) -> bool:
    """Return whether the repetitions of one phrase are most of the text."""
    for length in range(1, min(MAX_PHRASE_WORDS, len(units) // 2) + 1):
        limit = MAX_WORD_REPEATS if length == 1 else MAX_PHRASE_REPEATS
        repeats = _find_longest_run(units, length) // length + 1
        if repeats > limit and repeats * length >= MIN_REPEATED_SHARE * len(units):
            return True
    return False


def _find_longest_run(units: Sequence[str], length: int) -> int:
    """Return the longest run of units that each equal the one *length* before."""
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
