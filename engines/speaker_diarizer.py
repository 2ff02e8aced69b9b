"""Diarization for use as a library: a diarizer, and one identity for each speaker."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path

from core.errors import TranscribeError
from engines import catalog
from engines.base import SpeakerHints
from transcripts.speakers.linking import Shard, link_speakers
from transcripts.types import Diarization, Turn


@dataclass(frozen=True, slots=True, kw_only=True)
class DiarizationConfig:
    """Options of the diarization."""

    min_speakers: int | None = None
    max_speakers: int | None = None
    #: Seconds of speech that a speaker needs; speakers with less are dropped.
    min_speaker_duration: float = 0.0
    #: Similarity (cosine, 0 to 1) from which voices of two shards are the same. None: the
    #: diarizer's default.
    confidence_threshold: float | None = None
    #: As ``PYANNOTE_DEVICE``; None: the value of that setting. Other diarizers ignore it.
    device: str | None = None
    #: Name of a diarizer. None: pyannote if installed, `neural` if its models are here, else
    #: `classic`.
    diarizer: str | None = None

    def __post_init__(self) -> None:
        if self.confidence_threshold is not None and not 0 <= self.confidence_threshold <= 1:
            raise ValueError("confidence_threshold must be from 0 to 1")


class SpeakerDiarizer:
    """Diarizes shards, long pieces of a recording, and links their speakers.

    Raises `EngineError` if the diarizer is not installed, or the device does not exist.
    """

    def __init__(self, config: DiarizationConfig | None = None) -> None:
        self.config = config or DiarizationConfig()
        self._spec = catalog.diarizer(self.config.diarizer or _choose_diarizer())
        has_device = self._spec is catalog.PYANNOTE
        self._diarizer = catalog.load_diarizer(
            self._spec, *([self.config.device] if has_device else [])
        )

    def diarize(self, audio: Path | str) -> Diarization:
        """Find the turns of a 16 kHz mono 16-bit WAV file; times are seconds from its start.

        Raises `EngineError` if it cannot, `Transient` if another attempt may help.
        """
        hints = SpeakerHints(self.config.min_speakers, self.config.max_speakers)
        return self._diarizer.diarize(Path(audio), hints)

    def turns(self, shards: Sequence[Shard]) -> tuple[Turn, ...]:
        """Return the turns in recording time; speakers are numbered by first appearance."""
        likeness = self.config.confidence_threshold
        threshold = self._spec.same_speaker if likeness is None else 1.0 - likeness
        turns = link_speakers(shards, threshold=threshold, max_speakers=self.config.max_speakers)
        return _drop_short_speakers(turns, self.config.min_speaker_duration)


def _choose_diarizer() -> str:
    """Return the best diarizer that can be loaded; pyannote may download its pipeline."""
    if catalog.PYANNOTE.is_installed():
        return catalog.PYANNOTE.name
    with suppress(TranscribeError):
        catalog.query_capabilities(catalog.NEURAL)
        return catalog.NEURAL.name
    return catalog.CLASSIC.name


def _drop_short_speakers(turns: Sequence[Turn], minimum: float) -> tuple[Turn, ...]:
    seconds: dict[int, float] = defaultdict(float)
    for turn in turns:
        seconds[turn.speaker] += turn.end - turn.start
    remaining = [turn for turn in turns if seconds[turn.speaker] >= minimum]
    numbers = {
        speaker: number
        for number, speaker in enumerate(dict.fromkeys(t.speaker for t in remaining))
    }
    return tuple(replace(turn, speaker=numbers[turn.speaker]) for turn in remaining)
