"""Finds speakers by the sound of their voices: no model, no download, fits in any machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engines import wav
from engines.base import SpeakerHints
from engines.voices.cepstra import FRAMES_PER_SECOND, Frames, cepstra
from engines.voices.following import follow
from engines.voices.grouping import cut, group
from engines.voices.speech import runs, spoken
from engines.voices.voiceprint import voiceprint
from transcripts.types import Turn, Voices

Places = NDArray[np.intp]

#: Frames of speech below which there is nobody.
LEAST_SPEECH = 50
#: Frames of speech that make a speaker; a cough or a laugh has less. In a short recording a tenth
#: of the speech will do.
LEAST_VOICE, LEAST_SHARE = 250, 0.1
#: Frames of speech that make a voiceprint.
LEAST_PRINT = 100
#: Rounds of learning the voices and sharing out the speech; after two little changes.
ROUNDS = 2
#: Seconds of silence within a turn.
LONGEST_PAUSE = 0.5


class Classic:
    """Mel cepstra, clustering and resegmentation, some 500 times faster than the recording.

    Good where voices differ and microphones are near. It finds one speaker at a time, also where
    two speak at once, and tells far voices of one room apart only when told how many there are.
    Speakers are numbered as they first speak.
    """

    def diarize(self, audio: Path, hints: SpeakerHints) -> Voices:
        """Find the turns; of fewer than ``min_speakers`` only where there is too little speech."""
        pcm = np.frombuffer(wav.samples(audio), np.int16)
        # One thread: sums come out the same each time, and worker processes share the cores.
        with threadpool_limits(1):
            return _diarize(pcm, hints)


def _diarize(pcm: NDArray[np.int16], hints: SpeakerHints) -> Voices:
    sound = cepstra(pcm)
    times = spoken(pcm, len(sound))
    if len(times) < LEAST_SPEECH:
        return Voices(())

    sound = sound[times]
    voices = _voices(sound, times, max(1, hints.min_speakers or 1), hints.max_speakers)
    voices.sort(key=lambda voice: int(voice.min()))
    prints = {
        speaker: voiceprint(sound[voice])
        for speaker, voice in enumerate(voices)
        if len(voice) >= LEAST_PRINT
    }
    return Voices(tuple(_turns(times, voices)), prints)


def _voices(sound: Frames, times: Places, least: int, most: int | None) -> list[Places]:
    """Give the frames of each voice: every frame of *sound* in exactly one."""
    voices = group(sound, cut(runs(times)), least, most)
    for _ in range(ROUNDS):
        heard = follow(sound, times, _substantial(voices, least))
        if len(heard) < least and sum(map(len, voices)) == len(sound):
            break
        voices = heard
    return voices


def _substantial(voices: Sequence[Places], least: int) -> list[Places]:
    """Leave out those who say next to nothing, unless that leaves fewer than *least*."""
    enough = min(LEAST_VOICE, LEAST_SHARE * sum(map(len, voices)))
    ranked = sorted(voices, key=len, reverse=True)
    return ranked[: max(least, sum(len(voice) >= enough for voice in ranked))]


def _turns(times: Places, voices: Sequence[Places]) -> Iterator[Turn]:
    speakers = np.empty(len(times), np.intp)
    for speaker, voice in enumerate(voices):
        speakers[voice] = speaker

    longest = LONGEST_PAUSE * FRAMES_PER_SECOND
    ends = np.flatnonzero((np.diff(times) > longest) | (np.diff(speakers) != 0)) + 1
    for turn in np.split(np.arange(len(times)), ends):
        yield Turn(
            start=float(times[turn[0]]) / FRAMES_PER_SECOND,
            end=float(times[turn[-1]] + 1) / FRAMES_PER_SECOND,
            speaker=int(speakers[turn[0]]),
        )
