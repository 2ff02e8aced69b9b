"""Values that engines, steps and API responses exchange.

All times are seconds from the start of the recording, unless a field says otherwise.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from transcripts.deprecated_names import find_renamed
from transcripts.spacing import join_words
from transcripts.warning import WarningCode


@dataclass(frozen=True, slots=True)
class Interval:
    """A start and an end in seconds, ``start <= end``."""

    start: float
    end: float

    @property
    def duration(self) -> float:
        return self.end - self.start


@dataclass(frozen=True, slots=True)
class ChannelInterval(Interval):
    """An interval of one channel of a recording, counted from 0, or of the mix of all."""

    channel: int | None = None


@dataclass(frozen=True, slots=True)
class Word:
    """One transcribed word."""

    text: str
    start: float
    end: float
    #: Probability in 0..1, or None when the engine gives none.
    confidence: float | None = None
    #: Number of the speaker in the whole recording, or None when it is not known.
    speaker: int | None = None
    #: Whether a space separates this word from the one before; None: by the rule of the script.
    space_before: bool | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """An interval in which one speaker talks. Turns of different speakers may overlap."""

    start: float
    end: float
    speaker: int


@dataclass(frozen=True, slots=True)
class Note(Interval):
    """Information about an interval, for example that its words are doubtful."""

    text: str = ""
    code: WarningCode = WarningCode.OTHER


@dataclass(frozen=True, slots=True)
class Transcription:
    """What an engine returns for one piece of audio; times are seconds from the piece's start."""

    words: tuple[Word, ...]
    #: BCP 47 tag, or None if the engine does not report one.
    language: str | None = None
    #: Notes become warnings of the transcript.
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True, slots=True)
class ChunkResult:
    """The transcription of one chunk of a recording, in times of the recording."""

    interval: ChannelInterval
    transcription: Transcription


@dataclass(frozen=True, slots=True)
class Diarization:
    """What a diarizer returns for one piece of audio; times are seconds from the piece's start."""

    turns: tuple[Turn, ...]
    #: One vector per local speaker, all of equal length; speakers with too little speech may be
    #: missing.
    embeddings: Mapping[int, tuple[float, ...]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Segment:
    """A sentence, or a part of one, of a single speaker."""

    words: tuple[Word, ...]
    speaker: int | None = None

    @property
    def start(self) -> float:
        return self.words[0].start

    @property
    def end(self) -> float:
        return max(word.end for word in self.words)

    @property
    def text(self) -> str:
        return join_words(self.words)

    @property
    def confidence(self) -> float | None:
        """Return the mean confidence of the words that have one, or None."""
        confidences = [word.confidence for word in self.words if word.confidence is not None]
        return sum(confidences) / len(confidences) if confidences else None


if not TYPE_CHECKING:  # a type checker would not report missing names otherwise

    def __getattr__(name: str) -> object:
        return find_renamed(__name__, name)
