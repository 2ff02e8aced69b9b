"""Detect the role of each speaker by cue phrases; unclear roles stay unset.

The score compares how often a speaker says the cues of a role, per word, with all other speakers
together. It is the log-odds ratio with a Dirichlet prior, divided by its standard deviation:
Monroe, Colaresi and Quinn, "Fightin' Words" (Political Analysis 16, 2008, section 3.5.1). The score
is the probability of this normal deviate. So it does not depend on who talks more, and a few words
have little effect. A speaker who is alone is compared with the prior.
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field

from transcripts.spacing import is_unspaced

#: The cue phrases of each role. A question mark counts as a word of them, other marks do not.
Lexicon = Mapping[str, Sequence[str]]

#: The prior: a speaker without a role says this many cues in this many words.
PRIOR_CUES, PRIOR_WORDS = 0.5, 500.0
#: With fewer words than this, a speaker gets no role.
MIN_WORDS = 20
#: With fewer cues than this, a speaker gets no role: one cue may be a quotation.
MIN_CUES = 2
#: Below this score a speaker gets no role. Two cues that nobody else says reach it.
MIN_SCORE = 0.8
#: Least lead of a score over the speaker's other roles, and over other speakers with the role.
MIN_MARGIN = 0.1
#: Speakers may share a role only if all of their scores are at least this.
CLEAR_SCORE = 0.975

_QUESTION = "?"
_TOKEN = re.compile(r"[^\W_]+(?:'[^\W_]+)*|\?")
_APOSTROPHES = str.maketrans(dict.fromkeys("’ʼ`´", "'"))
_QUESTION_MARKS = str.maketrans(dict.fromkeys("？؟", _QUESTION))


@dataclass(frozen=True, slots=True)
class Role:
    """The role of one speaker."""

    #: None if no role is clear.
    name: str | None
    #: 0..1, of the likeliest role, whether it is clear or not.
    score: float


@dataclass(slots=True)
class _CueCounts:
    """Counts of one speaker's words and cues."""

    words: int = 0
    cues: dict[str, int] = field(default_factory=dict)


def find_roles(utterances: Iterable[tuple[int | None, str]], lexicon: Lexicon) -> dict[int, Role]:
    """Return the role of every speaker, from (speaker, text) pairs in any order.

    Texts without a speaker are ignored. Two speakers share a role only if both score at least
    `CLEAR_SCORE`. Otherwise the better one gets it if he leads by `MIN_MARGIN`.
    """
    counts = _count_cues(utterances, lexicon)
    scores = {
        speaker: {role: _score_role(counts, speaker, role) for role in lexicon}
        for speaker in counts
    }
    best = {speaker: _choose_role(counts[speaker], scores[speaker]) for speaker in sorted(counts)}
    return {speaker: _drop_shared_role(speaker, best) for speaker in best}


def normalize_phrase(phrase: str) -> tuple[str, ...]:
    """Return the words of a phrase for comparison: without case, accents and punctuation."""
    text = unicodedata.normalize("NFKD", phrase.translate(_APOSTROPHES)).casefold()
    bare = "".join(
        f" {char} " if is_unspaced(char) else char
        for char in text
        if not unicodedata.combining(char) or is_unspaced(char)
    )
    return tuple(_TOKEN.findall(bare.translate(_QUESTION_MARKS)))


def _count_cues(
    utterances: Iterable[tuple[int | None, str]], lexicon: Lexicon
) -> dict[int, _CueCounts]:
    cues = {role: _index_by_first_word(phrases) for role, phrases in lexicon.items()}
    counts: dict[int, _CueCounts] = {}
    for speaker, text in utterances:
        if speaker is None:
            continue
        speaker_counts = counts.setdefault(speaker, _CueCounts())
        tokens = normalize_phrase(text)
        speaker_counts.words += sum(token != _QUESTION for token in tokens)
        for role, role_cues in cues.items():
            speaker_counts.cues[role] = speaker_counts.cues.get(role, 0) + _count_occurrences(
                tokens, role_cues
            )
    return counts


def _index_by_first_word(phrases: Iterable[str]) -> dict[str, list[tuple[str, ...]]]:
    """Return the phrases by first word, longest first, so that the longest match is found."""
    cues: dict[str, list[tuple[str, ...]]] = {}
    for words in sorted({normalize_phrase(phrase) for phrase in phrases}, key=len, reverse=True):
        if words:
            cues.setdefault(words[0], []).append(words)
    return cues


def _count_occurrences(tokens: Sequence[str], cues: Mapping[str, Sequence[tuple[str, ...]]]) -> int:
    """Return the number of phrases in a text; no word belongs to two of them."""
    total = index = 0
    while index < len(tokens):
        match = next(
            (cue for cue in cues.get(tokens[index], ()) if _is_at(cue, tokens, index)), None
        )
        total += match is not None
        index += len(match) if match else 1
    return total


def _is_at(cue: tuple[str, ...], tokens: Sequence[str], index: int) -> bool:
    return tuple(tokens[index : index + len(cue)]) == cue


def _score_role(counts: Mapping[int, _CueCounts], speaker: int, role: str) -> float:
    speaker_counts = counts[speaker]
    other_counts = [cue_counts for other, cue_counts in counts.items() if other != speaker]
    if not speaker_counts.cues[role]:
        return 0.0
    speaker_odds, speaker_variance = _compute_log_odds(
        speaker_counts.cues[role], speaker_counts.words
    )
    other_odds, other_variance = _compute_log_odds(
        sum(cue_counts.cues[role] for cue_counts in other_counts),
        sum(cue_counts.words for cue_counts in other_counts),
    )
    deviate = (speaker_odds - other_odds) / math.sqrt(speaker_variance + other_variance)
    return 0.5 * (1 + math.erf(deviate / math.sqrt(2)))


def _compute_log_odds(cues: int, words: int) -> tuple[float, float]:
    """Return the log odds that a word begins a cue, and their variance."""
    cue_count = cues + PRIOR_CUES
    return math.log(cue_count / (max(words, cues) + PRIOR_WORDS - cue_count)), 1 / cue_count


def _choose_role(counts: _CueCounts, scores: Mapping[str, float]) -> Role:
    """Return the likeliest role, without a name if the lexicon does not clearly indicate it."""
    first, *other_roles = sorted(scores, key=lambda role: (-scores[role], role))
    rival = max((scores[role] for role in other_roles), default=0.0)
    is_clear = (
        counts.words >= MIN_WORDS
        and counts.cues[first] >= MIN_CUES
        and scores[first] >= MIN_SCORE
        and scores[first] - rival >= MIN_MARGIN
    )
    return Role(first if is_clear else None, scores[first])


def _drop_shared_role(speaker: int, best: Mapping[int, Role]) -> Role:
    role = best[speaker]
    rivals = [
        other_role.score
        for other_speaker, other_role in best.items()
        if other_speaker != speaker and other_role.name == role.name
    ]
    if role.name is None or not rivals:
        return role
    all_clear = min(role.score, *rivals) >= CLEAR_SCORE
    return role if all_clear or role.score - max(rivals) >= MIN_MARGIN else Role(None, role.score)
