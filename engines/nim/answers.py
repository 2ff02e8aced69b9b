"""From Riva's answers to words and turns. Its times are milliseconds from the start of the call."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from riva.client.proto import riva_asr_pb2 as pb

from engines.nim.models import ANY
from engines.spread import evenly
from transcripts.types import Heard, Turn, Word

Result: TypeAlias = pb.SpeechRecognitionResult | pb.StreamingRecognitionResult

#: Seconds between two words of one speaker up to which he goes on speaking.
BREATH = 1.0


@dataclass(frozen=True, slots=True)
class Said:
    """A word as Riva gives it, in seconds."""

    text: str
    start: float
    end: float
    #: In whatever measure the model has; 0 also stands for none.
    score: float = 0.0
    #: 0 also stands for nobody.
    speaker: int = 0


def heard(results: Sequence[Result], asked: str, seconds: float) -> Heard:
    """The words of a piece of sound of this length. *asked*: the language of the request."""
    words = said(results, seconds)
    probability = _probability([word.score for word in words])
    return Heard(
        tuple(Word(word.text, word.start, word.end, probability(word.score)) for word in words),
        _language(results, asked),
    )


def said(results: Iterable[Result], seconds: float) -> list[Said]:
    """All words in order, none of them outside the sound."""
    words: list[Said] = []
    for result in results:
        if result.alternatives:
            since = words[-1].end if words else 0.0
            until = min(result.audio_processed or seconds, seconds)
            words += _words(result.alternatives[0], since, max(since, until), seconds)
    return words


def turns(words: Sequence[Said], first: int) -> tuple[Turn, ...]:
    """Who speaks when. *first*: the number that the server gives to the first speaker."""
    found: list[Turn] = []
    for word in words:
        if word.speaker < first:  # nobody
            continue
        last = found[-1] if found else None
        if last and last.speaker == word.speaker - first and word.start - last.end <= BREATH:
            found[-1] = Turn(last.start, max(last.end, word.end), last.speaker)
        else:
            found.append(Turn(word.start, word.end, word.speaker - first))
    return tuple(turn for turn in found if turn.end > turn.start)


def _words(
    best: pb.SpeechRecognitionAlternative, since: float, until: float, seconds: float
) -> Iterator[Said]:
    texts = best.transcript.split()
    if not best.words:
        # Models without times of words.
        for text, start, end in evenly(texts, since, until):
            yield Said(text, start, end, best.confidence)
        return
    if len(texts) != len(best.words):
        texts = [word.word for word in best.words]
    # Not every server punctuates the words too, so their texts are those of the transcript.
    for text, word in zip(texts, best.words, strict=True):
        start = min(max(0.0, word.start_time / 1000), seconds)
        end = min(max(start, word.end_time / 1000), seconds)
        if text:
            yield Said(text, start, end, word.confidence, word.speaker_tag)


def _probability(scores: Sequence[float]) -> Callable[[float], float | None]:
    """Scores are logarithms, with some models probabilities; if all are 0, none is told."""
    if not any(scores):
        return lambda _: None
    if min(scores) >= 0 and max(scores) <= 1:
        return float
    return lambda score: math.exp(min(0.0, score))


def _language(results: Sequence[Result], asked: str) -> str | None:
    """What was heard most, or else what was asked for."""
    best = [result.alternatives[0] for result in results if result.alternatives]
    found = Counter(tag for one in best for tag in one.language_code if tag != ANY)
    if found:
        return found.most_common(1)[0][0]
    return None if asked == ANY else asked
