"""Parse words and turns from Riva's responses, whose times are milliseconds."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias

from riva.client.proto import riva_asr_pb2 as pb

from engines.riva_client.interpolate import spread_evenly
from engines.riva_client.server_models import ANY
from transcripts.types import Transcription, Turn, Word

RecognitionResult: TypeAlias = pb.SpeechRecognitionResult | pb.StreamingRecognitionResult

#: Longest pause between two words of one turn (seconds).
MAX_PAUSE_SECONDS = 1.0


@dataclass(frozen=True, slots=True)
class RivaWord:
    """A word of Riva's response; times in seconds."""

    text: str
    start: float
    end: float
    #: Confidence in the model's own measure; 0 can also mean unknown.
    score: float = 0.0
    #: Speaker number; 0 can also mean unknown.
    speaker: int = 0


def build_transcription(
    results: Sequence[RecognitionResult], language: str, seconds: float
) -> Transcription:
    """Return the words of *seconds* of audio. *language*: the language of the request."""
    words = collect_words(results, seconds)
    to_probability = _probability_scale([word.score for word in words])
    return Transcription(
        tuple(Word(word.text, word.start, word.end, to_probability(word.score)) for word in words),
        _find_language(results, language),
    )


def collect_words(results: Iterable[RecognitionResult], seconds: float) -> list[RivaWord]:
    """Return all words in order, with times inside the audio."""
    words: list[RivaWord] = []
    for result in results:
        if result.alternatives:
            since = words[-1].end if words else 0.0
            until = min(result.audio_processed or seconds, seconds)
            words += _parse_words(result.alternatives[0], since, max(since, until), seconds)
    return words


def build_turns(words: Sequence[RivaWord], first: int) -> tuple[Turn, ...]:
    """Return the turns. *first*: the number of the first speaker on this server."""
    merged: list[Turn] = []
    for word in words:
        if word.speaker < first:  # no speaker
            continue
        last = merged[-1] if merged else None
        if (
            last
            and last.speaker == word.speaker - first
            and word.start - last.end <= MAX_PAUSE_SECONDS
        ):
            merged[-1] = Turn(last.start, max(last.end, word.end), last.speaker)
        else:
            merged.append(Turn(word.start, word.end, word.speaker - first))
    return tuple(turn for turn in merged if turn.end > turn.start)


def _parse_words(
    best: pb.SpeechRecognitionAlternative, since: float, until: float, seconds: float
) -> Iterator[RivaWord]:
    texts = best.transcript.split()
    if not best.words:
        # Some models return no word times.
        for text, start, end in spread_evenly(texts, since, until):
            yield RivaWord(text, start, end, best.confidence)
        return
    if len(texts) != len(best.words):
        texts = [word.word for word in best.words]
    # Not every server punctuates the words too, so the texts are taken from the transcript.
    for text, word in zip(texts, best.words, strict=True):
        start = min(max(0.0, word.start_time / 1000), seconds)
        end = min(max(start, word.end_time / 1000), seconds)
        if text:
            yield RivaWord(text, start, end, word.confidence, word.speaker_tag)


def _probability_scale(scores: Sequence[float]) -> Callable[[float], float | None]:
    """Return the conversion of scores, logarithms or probabilities; None if all are 0."""
    if not any(scores):
        return lambda _: None
    if min(scores) >= 0 and max(scores) <= 1:
        return float
    return lambda score: math.exp(min(0.0, score))


def _find_language(results: Sequence[RecognitionResult], language: str) -> str | None:
    """Return the language reported most often, else the requested one."""
    best = [result.alternatives[0] for result in results if result.alternatives]
    counts: Counter[str] = Counter(
        tag for alternative in best for tag in alternative.language_code if tag != ANY
    )
    if counts:
        return counts.most_common(1)[0][0]
    return None if language == ANY else language
