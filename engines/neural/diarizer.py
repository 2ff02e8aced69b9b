"""Finds who speaks when with two nets, one for turns and one for voices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engines import wav
from engines.base import SpeakerHints
from engines.neural import (
    checkpoint,
    clustering,
    embedding,
    embedding_net,
    pieces,
    segmentation,
    segmentation_net,
    tracks,
)
from engines.neural.clustering import Labels
from engines.neural.pieces import Piece
from engines.neural.sessions import Floats, Net
from engines.neural.turns import find_turns
from engines.offers import NEURAL_MODELS
from engines.shelf import pinned_weights
from engines.sound import read
from transcripts.types import Voices

#: Frames of clean speech that make a voiceprint.
LEAST_PRINT = 59


class Neural:
    """Segmentation and voices by nets on onnxruntime, one thread, some 35 times faster than sound.

    Turns overlap where two speak at once. Speakers are numbered as they first speak.
    """

    def __init__(self) -> None:
        turns, voices = (checkpoint.read_tensors(pinned_weights(model)) for model in NEURAL_MODELS)
        self._segmentation = Net(segmentation_net.build(turns))
        self._embedding = Net(embedding_net.build(voices))

    def diarize(self, audio: Path, hints: SpeakerHints) -> Voices:
        """Find the turns; of fewer than ``min_speakers`` only where there is too little speech."""
        sound = read(audio)
        with threadpool_limits(1):
            found = tracks.follow(segmentation.segment(self._segmentation, sound))
            parts, vectors = self._embed(pieces.cut(found), sound)
        if not parts:
            return Voices(())
        labels = clustering.cluster(
            vectors,
            np.array([part.track for part in parts]),
            np.array([len(part.frames) for part in parts]),
            hints.min_speakers or 1,
            hints.max_speakers,
        )
        turns, numbers = find_turns(found, parts, labels, len(sound) / wav.RATE)
        prints = _mean_voices(parts, vectors, labels)
        voices = {numbers[label]: prints[label] for label in numbers if label in prints}
        return Voices(turns, voices)

    def _embed(self, parts: Sequence[Piece], sound: Floats) -> tuple[list[Piece], Floats]:
        """The pieces that are long enough to have a voice, and their voices."""
        kept, vectors = [], []
        for part in parts:
            said = pieces.sound_of(part, sound)
            if len(said) >= embedding.LEAST:
                kept.append(part)
                vectors.append(embedding.embed(self._embedding, said))
        return kept, np.array(vectors, np.float32)


def _mean_voices(
    parts: Sequence[Piece], vectors: Floats, labels: Labels
) -> dict[int, tuple[float, ...]]:
    """A voiceprint of each speaker with enough speech: the mean over its frames, of length one."""
    frames = np.array([len(part.frames) for part in parts])
    found = {}
    for label in np.unique(labels):
        mine = labels == label
        if frames[mine].sum() >= LEAST_PRINT:
            mean = frames[mine] @ vectors[mine]
            found[int(label)] = tuple((mean / np.linalg.norm(mean)).tolist())
    return found
