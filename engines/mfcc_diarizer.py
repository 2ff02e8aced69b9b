"""Diarize by spectral features of voices: without a model or a download, on any machine."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engines import wav
from engines.arrays import FrameIndices, Frames
from engines.base import SpeakerHints
from engines.speaker_features.grouping import cluster_pieces, cut_pieces
from engines.speaker_features.mel_cepstra import FRAMES_PER_SECOND, compute_cepstra
from engines.speaker_features.tracking import resegment
from engines.speaker_features.voice_activity import find_speech_frames, split_runs
from engines.speaker_features.voice_embedding import compute_embedding
from transcripts.types import Diarization, Turn

#: With fewer frames of speech than this, there are no speakers.
MIN_SPEECH_FRAMES = 50
#: Frames of speech that a speaker needs; a cough or a laugh has less. In a short recording a tenth
#: of the speech is enough.
MIN_SPEAKER_FRAMES, MIN_SPEAKER_SHARE = 250, 0.1
#: Frames of speech that an embedding needs.
MIN_EMBEDDING_FRAMES = 100
#: Rounds of training the voice models and reassigning the speech; after two little changes.
ROUNDS = 2
#: Longest silence within a turn (seconds).
MAX_PAUSE_SECONDS = 0.5


class MfccDiarizer:
    """Mel cepstra, clustering and resegmentation, some 500 times faster than real time.

    Works well with distinct voices and close microphones. It detects one speaker at a time, even
    where two speak at once. It separates distant voices in one room only if their number is given.
    Speakers are numbered by first appearance.
    """

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        """Find the turns, with fewer than ``min_speakers`` only if there is too little speech."""
        pcm = np.frombuffer(wav.read_pcm(audio), np.int16)
        # One thread: sums are reproducible, and worker processes share the cores.
        with threadpool_limits(1):
            return _diarize(pcm, hints)


def _diarize(pcm: NDArray[np.int16], hints: SpeakerHints) -> Diarization:
    features = compute_cepstra(pcm)
    frame_numbers = find_speech_frames(pcm, len(features))
    if len(frame_numbers) < MIN_SPEECH_FRAMES:
        return Diarization(())

    features = features[frame_numbers]
    voices = _cluster_frames(
        features, frame_numbers, max(1, hints.min_speakers or 1), hints.max_speakers
    )
    voices.sort(key=lambda voice: int(voice.min()))
    embeddings = {
        speaker: compute_embedding(features[voice])
        for speaker, voice in enumerate(voices)
        if len(voice) >= MIN_EMBEDDING_FRAMES
    }
    return Diarization(tuple(_build_turns(frame_numbers, voices)), embeddings)


def _cluster_frames(
    features: Frames, frame_numbers: FrameIndices, minimum: int, maximum: int | None
) -> list[FrameIndices]:
    """Return the frames of each voice; every frame of *features* belongs to exactly one."""
    voices = cluster_pieces(features, cut_pieces(split_runs(frame_numbers)), minimum, maximum)
    for _ in range(ROUNDS):
        resegmented = resegment(features, frame_numbers, _drop_minor_speakers(voices, minimum))
        if len(resegmented) < minimum and sum(map(len, voices)) == len(features):
            break
        voices = resegmented
    return voices


def _drop_minor_speakers(voices: Sequence[FrameIndices], minimum: int) -> list[FrameIndices]:
    """Drop the speakers with very little speech, but keep at least *minimum*."""
    threshold = min(MIN_SPEAKER_FRAMES, MIN_SPEAKER_SHARE * sum(map(len, voices)))
    ranked = sorted(voices, key=len, reverse=True)
    return ranked[: max(minimum, sum(len(voice) >= threshold for voice in ranked))]


def _build_turns(frame_numbers: FrameIndices, voices: Sequence[FrameIndices]) -> Iterator[Turn]:
    speakers = np.empty(len(frame_numbers), np.intp)
    for speaker, voice in enumerate(voices):
        speakers[voice] = speaker

    max_pause = MAX_PAUSE_SECONDS * FRAMES_PER_SECOND
    ends = np.flatnonzero((np.diff(frame_numbers) > max_pause) | (np.diff(speakers) != 0)) + 1
    for turn in np.split(np.arange(len(frame_numbers)), ends):
        yield Turn(
            start=float(frame_numbers[turn[0]]) / FRAMES_PER_SECOND,
            end=float(frame_numbers[turn[-1]] + 1) / FRAMES_PER_SECOND,
            speaker=int(speakers[turn[0]]),
        )
