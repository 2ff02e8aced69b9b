"""PocketSphinx needs no server, no GPU and no download, so it is the default engine."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pocketsphinx import Decoder, Segment

from core.errors import EngineError
from engines import wav
from engines.base import Hints
from transcripts.types import Transcription, Word

#: Of the model that comes inside the wheel.
LANGUAGE = "en-US"
FRAMES_PER_SECOND = 100

_NOT_A_WORD = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # <sil>, [NOISE], ++BREATH++
_VARIANT = re.compile(r"\(\d+\)$")  # the dictionary says "read(2)" for another way to say "read"


class Sphinx:
    """Hears English with the model that comes with PocketSphinx.

    It has one model and cannot be told which phrases to expect, so it leaves such hints alone.
    Confidences are posterior probabilities of the best path in the word lattice. It holds the
    interpreter lock while it listens: run as many processes as there are cores, not threads.
    """

    def __init__(self) -> None:
        # All else as the model asks: batch mean normalisation and noise removal, which its own
        # feat.params sets anyway. Without noise removal it errs 1.5 words in a hundred more.
        try:
            self._decoder = Decoder(samprate=wav.RATE, frate=FRAMES_PER_SECOND, loglevel="FATAL")
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"PocketSphinx could not load its model: {error}") from error

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:  # noqa: ARG002
        """Hear a file of any length, which takes about a quarter of its duration."""
        pcm = wav.read_pcm(audio)
        # Digital silence has no level to normalise; nobody speaks in it.
        if not any(pcm):
            return Transcription((), LANGUAGE)
        self._decode(pcm)
        return Transcription(tuple(self._read_words()), LANGUAGE)

    def _decode(self, pcm: bytes) -> None:
        # The noise tracker and the cepstral mean outlive an utterance. Without this the words of a
        # chunk would depend on the chunks that this process happened to hear before.
        self._decoder.reinit_feat()

        self._decoder.start_utt()
        self._decoder.process_raw(pcm, full_utt=True)
        self._decoder.end_utt()

    def _read_words(self) -> Iterator[Word]:
        if self._decoder.hyp() is None:
            return
        for segment in self._decoder.seg() or ():
            if not _NOT_A_WORD.fullmatch(segment.word):
                yield _build_word(segment)


def _build_word(segment: Segment) -> Word:
    return Word(
        text=_VARIANT.sub("", segment.word),
        start=segment.start_frame / FRAMES_PER_SECOND,
        end=(segment.end_frame + 1) / FRAMES_PER_SECOND,
        # Rounding in the logarithms can bring a certain word a hair above one.
        confidence=min(1.0, max(0.0, segment.prob)),
    )
