"""PocketSphinx, the fallback engine: it needs no server, no GPU and no download."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

from pocketsphinx import Decoder, Segment

from core.errors import EngineError
from engines import wav
from engines.base import Hints
from transcripts.types import Transcription, Word

#: Language of the model in the wheel.
LANGUAGE = "en-US"
FRAMES_PER_SECOND = 100

_NOT_A_WORD = re.compile(r"<.*>|\[.*\]|\+\+.*\+\+")  # <sil>, [NOISE], ++BREATH++
_VARIANT = re.compile(r"\(\d+\)$")  # the dictionary's "read(2)" is another pronunciation of "read"


class Sphinx:
    """Transcribes English with the model that comes with PocketSphinx.

    It has one model and does not support expected phrases, so it ignores such hints. Confidences
    are posterior probabilities of the best path in the word lattice. It holds the interpreter lock
    while it works: run as many processes as there are cores, not threads.
    """

    def __init__(self) -> None:
        # Other options come from the model's feat.params: batch mean normalisation and noise
        # removal. Without noise removal it errs 1.5 words in a hundred more.
        try:
            self._decoder = Decoder(samprate=wav.RATE, frate=FRAMES_PER_SECOND, loglevel="FATAL")
        except (RuntimeError, ValueError) as error:
            raise EngineError(f"PocketSphinx could not load its model: {error}") from error

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:  # noqa: ARG002
        """Transcribe a file of any length, which takes about a quarter of its duration."""
        pcm = wav.read_pcm(audio)
        # Digital silence has no level to normalise, and contains no speech.
        if not any(pcm):
            return Transcription((), LANGUAGE)
        self._decode(pcm)
        return Transcription(tuple(self._read_words()), LANGUAGE)

    def _decode(self, pcm: bytes) -> None:
        # The noise tracker and the cepstral mean persist between utterances. Without this the words
        # of a chunk would depend on the earlier chunks of this process.
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
        # Rounding of logarithms can raise the confidence of a certain word slightly above one.
        confidence=min(1.0, max(0.0, segment.prob)),
    )
