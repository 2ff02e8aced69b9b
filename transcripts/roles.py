"""Tells what role each speaker has, by phrases that are cues of it; nobody's is guessed.

What counts is how much oftener a speaker says the cues of a role than all others together, a word
said: the log-odds ratio with a Dirichlet prior, divided by its standard deviation, of Monroe,
Colaresi and Quinn, "Fightin' Words" (Political Analysis 16, 2008, section 3.5.1). As a normal
deviate that has a probability, which is the score. So it does not matter who talks more, and a few
words say little. A speaker who is alone is compared with the prior.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from transcripts.spacing import is_unspaced

#: The cues of each role: phrases. A question mark counts as a word of them, other marks do not.
Lexicon = Mapping[str, Sequence[str]]

#: The prior: so many cues in so many words is what somebody without a role may say.
PRIOR_CUES, PRIOR_WORDS = 0.5, 500.0
#: Words below which nothing is known of a speaker.
LEAST_WORDS = 20
#: Cues below which no role is told: one may be a quotation.
LEAST_CUES = 2
#: Score below which no role is told. Two cues that nobody else says reach it.
LEAST_SCORE = 0.8
#: By so much a score must be above that of the speaker's other roles, and of others with the role.
MARGIN = 0.1
#: Only speakers who all score as much may share a role.
CLEAR = 0.975

_QUESTION = "?"
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|\?")
_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ`´", "'"))
_QUESTION_MARKS = str.maketrans(dict.fromkeys("？؟", _QUESTION))


@dataclass(frozen=True, slots=True)
class Role:
    """What is known of one speaker."""

    #: None when it is not known.
    name: str | None
    #: 0..1, of the likeliest role, be it told or not.
    score: float


@dataclass(slots=True)
class _Said:
    """What one speaker said, as far as it counts."""

    words: int = 0
    cues: dict[str, int] = field(default_factory=dict)


def find(said: Iterable[tuple[int | None, str]], lexicon: Lexicon) -> dict[int, Role]:
    """The role of every speaker, from the texts that they say; in which order does not matter.

    Texts without a speaker count for nobody. Two speakers never get one role unless the lexicon
    clearly says so of both; where neither is clear, the better one gets it, if he is much better.
    """
    counted = _count(said, lexicon)
    scores = {
        speaker: {role: _score(counted, speaker, role) for role in lexicon} for speaker in counted
    }
    best = {speaker: _best(counted[speaker], scores[speaker]) for speaker in sorted(counted)}
    return {speaker: _unless_shared(speaker, best) for speaker in best}


def fold(phrase: str) -> tuple[str, ...]:
    """The words of a phrase as they are compared: without capitals, accents and punctuation."""
    text = unicodedata.normalize("NFKD", phrase.translate(_APOSTROPHES)).casefold()
    bare = "".join(
        f" {char} " if is_unspaced(char) else char
        for char in text
        if not unicodedata.combining(char) or is_unspaced(char)
    )
    return tuple(_TOKEN.findall(bare.translate(_QUESTION_MARKS)))


def _count(said: Iterable[tuple[int | None, str]], lexicon: Lexicon) -> dict[int, _Said]:
    cues = {role: _by_first_word(phrases) for role, phrases in lexicon.items()}
    counted: dict[int, _Said] = {}
    for speaker, text in said:
        if speaker is None:
            continue
        mine = counted.setdefault(speaker, _Said())
        tokens = fold(text)
        mine.words += sum(token != _QUESTION for token in tokens)
        for role, of_role in cues.items():
            mine.cues[role] = mine.cues.get(role, 0) + _occurrences(tokens, of_role)
    return counted


def _by_first_word(phrases: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """Longest first, so that of two phrases that begin alike the one that says more is found."""
    cues: dict[str, list[tuple[str, ...]]] = {}
    for words in sorted({fold(phrase) for phrase in phrases}, key=len, reverse=True):
        if words:
            cues.setdefault(words[0], []).append(words)
    return cues


def _occurrences(tokens: Sequence[str], cues: Mapping[str, Sequence[tuple[str, ...]]]) -> int:
    """How many phrases there are in a text; no word belongs to two of them."""
    found = at = 0
    while at < len(tokens):
        here = next((cue for cue in cues.get(tokens[at], ()) if _is_at(cue, tokens, at)), None)
        found += here is not None
        at += len(here) if here else 1
    return found


def _is_at(cue: tuple[str, ...], tokens: Sequence[str], at: int) -> bool:
    return tuple(tokens[at : at + len(cue)]) == cue


def _score(counted: Mapping[int, _Said], speaker: int, role: str) -> float:
    mine = counted[speaker]
    others = [said for other, said in counted.items() if other != speaker]
    if not mine.cues[role]:
        return 0.0
    own, spread = _log_odds(mine.cues[role], mine.words)
    theirs, their_spread = _log_odds(
        sum(said.cues[role] for said in others), sum(said.words for said in others)
    )
    deviate = (own - theirs) / math.sqrt(spread + their_spread)
    return 0.5 * (1 + math.erf(deviate / math.sqrt(2)))


def _log_odds(cues: int, words: int) -> tuple[float, float]:
    """Of a word beginning a cue, with the variance of that."""
    counted = cues + PRIOR_CUES
    return math.log(counted / (max(words, cues) + PRIOR_WORDS - counted)), 1 / counted


def _best(said: _Said, scores: Mapping[str, float]) -> Role:
    """The likeliest role, without a name when the lexicon does not clearly tell it."""
    first, *others = sorted(scores, key=lambda role: (-scores[role], role))
    rival = max((scores[role] for role in others), default=0.0)
    is_told = (
        said.words >= LEAST_WORDS
        and said.cues[first] >= LEAST_CUES
        and scores[first] >= LEAST_SCORE
        and scores[first] - rival >= MARGIN
    )
    return Role(first if is_told else None, scores[first])


def _unless_shared(speaker: int, best: Mapping[int, Role]) -> Role:
    mine = best[speaker]
    rivals = [
        one.score for other, one in best.items() if other != speaker and one.name == mine.name
    ]
    if mine.name is None or not rivals:
        return mine
    all_clear = min(mine.score, *rivals) >= CLEAR
    return mine if all_clear or mine.score - max(rivals) >= MARGIN else Role(None, mine.score)
