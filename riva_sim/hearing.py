"""Recognize speech of one request with PocketSphinx: utterances, words, probabilities, phrases."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from pocketsphinx import Decoder, Endpointer, Segment
from riva.client.proto.riva_asr_pb2 import RecognitionConfig

from riva_sim.sound import RATE

FRAMES_PER_SECOND = 100
#: Seconds of silence that end an utterance, unless the request sets another value.
PAUSE_SECONDS = 0.8
#: Factor of a boost on a word's probability, as a power of ten. With this value a boost of 4
#: changes little and one of 20 much, as with Riva.
_BOOST_EXPONENT = 0.3
_MAX_WEIGHT = 1e30

_NOT_A_WORD = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")
_VARIANT = re.compile(r"\(\d+\)$")


@dataclass(frozen=True, slots=True)
class RecognizedWord:
    """A word; times in seconds from the start of the request."""

    text: str
    start: float
    end: float
    #: 0..1, never 0.
    probability: float


@dataclass(frozen=True, slots=True)
class Utterance:
    """Speech between two pauses."""

    words: tuple[RecognizedWord, ...]
    #: 16-bit samples, and the second at which they begin.
    pcm: bytes
    start: float
    #: Seconds of the request that were processed so far.
    processed: float


class UtteranceRecognizer:
    """Recognizes one request. Each request gets a new instance, so that none affects another."""

    def __init__(self, config: RecognitionConfig) -> None:
        self._decoder = Decoder(samprate=RATE, frate=FRAMES_PER_SECOND, loglevel="FATAL")
        #: Maps a name in the dictionary to its words, each with its number of phones.
        self._phrases: dict[str, list[tuple[str, int]]] = {}
        for context in config.speech_contexts:
            for phrase in context.phrases:
                self._add_phrase(phrase, context.boost)
        pause = (config.endpointing_config.stop_history / 1000) or PAUSE_SECONDS
        self._endpointer = Endpointer(window=max(0.3, pause), ratio=0.9)

    def recognize(self, audio: Iterable[bytes]) -> Iterator[Utterance]:
        """Yield the utterances of 16 kHz samples as they arrive."""
        pending, pcm, byte_count = b"", bytearray(), 0
        for block in audio:
            pending += block
            while len(pending) >= self._endpointer.frame_bytes:
                frame = pending[: self._endpointer.frame_bytes]
                pending = pending[len(frame) :]
                byte_count += len(frame)
                pcm += self._endpointer.process(frame) or b""
                if pcm and not self._endpointer.in_speech:
                    yield self._recognize_utterance(bytes(pcm), byte_count)
                    pcm.clear()
        # PocketSphinx rejects an empty last frame, but accepts one sample of silence.
        pcm += self._endpointer.end_stream(pending or b"\0\0") or b""
        if pcm:
            yield self._recognize_utterance(bytes(pcm), byte_count + len(pending))

    def _recognize_utterance(self, pcm: bytes, byte_count: int) -> Utterance:
        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()
        start = self._endpointer.speech_start
        segments = () if self._decoder.hyp() is None else self._decoder.seg() or ()
        words = tuple(word for segment in segments for word in self._split_words(segment, start))
        return Utterance(words, pcm, start, byte_count / 2 / RATE)

    def _split_words(self, segment: Segment, since: float) -> Iterator[RecognizedWord]:
        """Split a recognized phrase into words, which share its time by their phones."""
        if _NOT_A_WORD.fullmatch(segment.word):
            return
        text = _VARIANT.sub("", segment.word)
        parts = self._phrases.get(text, [(text, 1)])
        start, end = segment.start_frame, segment.end_frame + 1
        step = (end - start) / sum(sounds for _, sounds in parts) / FRAMES_PER_SECOND
        offset = since + start / FRAMES_PER_SECOND
        for part, sounds in parts:
            yield RecognizedWord(
                part, offset, offset + step * sounds, min(1.0, max(1e-4, segment.prob))
            )
            offset += step * sounds

    def _add_phrase(self, phrase: str, boost: float) -> None:
        """Make the phrase, and each of its words, more likely."""
        if boost <= 0:
            return
        for text in dict.fromkeys((phrase, *phrase.split())):
            parts = [(word, self._find_pronunciation(word.lower())) for word in text.split()]
            pronounced = [(word, sounds) for word, sounds in parts if sounds]
            if not pronounced or len(pronounced) < len(parts):
                continue
            name = f"expected{len(self._phrases)}"
            self._phrases[name] = [(word, len(sounds.split())) for word, sounds in pronounced]
            weight = min(_MAX_WEIGHT, 10 ** (_BOOST_EXPONENT * boost * len(pronounced)))
            self._decoder.get_lm().add_word(name, weight)
            self._decoder.add_word(name, " ".join(sounds for _, sounds in pronounced), True)

    def _find_pronunciation(self, word: str) -> str | None:
        """Return a word's phones; an unknown word is composed of two known ones if possible."""
        if pronunciation := self._decoder.lookup_word(word):
            return str(pronunciation)
        middle = len(word) / 2
        for cut in sorted(range(1, len(word)), key=lambda cut: abs(cut - middle)):
            halves = [self._decoder.lookup_word(half) for half in (word[:cut], word[cut:])]
            if all(halves):
                return " ".join(halves)
        return None
