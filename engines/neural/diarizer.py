"""Detect who speaks when with two networks, one for turns and one for voices."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from engines import wav
from engines.arrays import Floats, read_samples
from engines.base import SpeakerHints
from engines.capabilities import NEURAL_MODELS
from engines.models.local_models import find_pinned_weights
from engines.neural import (
    checkpoint,
    clustering,
    embedding,
    embedding_net,
    segmentation,
    segmentation_net,
    speaker_tracks,
    speech_pieces,
)
from engines.neural.clustering import Labels
from engines.neural.onnx_sessions import Net
from engines.neural.speech_pieces import SpeechPiece
from engines.neural.turns import find_turns
from transcripts.types import Diarization

#: Frames of clean speech that an embedding needs.
MIN_EMBEDDING_FRAMES = 59


class NeuralDiarizer:
    """Segmentation and embedding on onnxruntime, one thread, about 35 times faster than real time.

    Turns overlap where two speak at once. Speakers are numbered by first appearance.
    """

    def __init__(self) -> None:
        segmentation_weights, embedding_weights = (
            checkpoint.read_tensors(find_pinned_weights(model)) for model in NEURAL_MODELS
        )
        self._segmentation = Net(segmentation_net.build(segmentation_weights))
        self._embedding = Net(embedding_net.build(embedding_weights))

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        """Find the turns, with fewer than ``min_speakers`` only if there is too little speech."""
        samples = read_samples(audio)
        with threadpool_limits(1):
            tracks = speaker_tracks.build_tracks(segmentation.segment(self._segmentation, samples))
            pieces, vectors = self._embed(speech_pieces.cut_pieces(tracks), samples)
        if not pieces:
            return Diarization(())
        labels = clustering.cluster(
            vectors,
            np.array([piece.track for piece in pieces]),
            np.array([len(piece.frames) for piece in pieces]),
            hints.min_speakers or 1,
            hints.max_speakers,
        )
        turns, numbers = find_turns(tracks, pieces, labels, len(samples) / wav.RATE)
        embeddings = _average_embeddings(pieces, vectors, labels)
        voices = {numbers[label]: embeddings[label] for label in numbers if label in embeddings}
        return Diarization(turns, voices)

    def _embed(
        self, pieces: Sequence[SpeechPiece], samples: Floats
    ) -> tuple[list[SpeechPiece], Floats]:
        """Return the pieces that are long enough for an embedding, and their embeddings."""
        embedded, vectors = [], []
        for piece in pieces:
            speech = speech_pieces.extract_samples(piece, samples)
            if len(speech) >= embedding.MIN_SAMPLES:
                embedded.append(piece)
                vectors.append(embedding.embed(self._embedding, speech))
        return embedded, np.array(vectors, np.float32)


def _average_embeddings(
    pieces: Sequence[SpeechPiece], vectors: Floats, labels: Labels
) -> dict[int, tuple[float, ...]]:
    """Return an embedding per speaker with enough speech: the mean of its frames at length one."""
    frame_counts = np.array([len(piece.frames) for piece in pieces])
    embeddings = {}
    for label in np.unique(labels):
        mask = labels == label
        if frame_counts[mask].sum() >= MIN_EMBEDDING_FRAMES:
            mean = frame_counts[mask] @ vectors[mask]
            embeddings[int(label)] = tuple((mean / np.linalg.norm(mean)).tolist())
    return embeddings
