"""Cut tracks into pieces of clean speech, each with one voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engines.arrays import Floats, FrameIndices
from engines.neural.segmentation import FRAME_SAMPLES
from engines.neural.speaker_tracks import SPEECH_THRESHOLD, SpeakerTrack

#: Frames of a usual piece (three seconds), and of the shortest one with an embedding.
USUAL_FRAMES, MIN_FRAMES = 178, 24
#: Longest range of frames from which a piece is taken, including pauses.
MAX_SPREAD_FRAMES = 592


@dataclass(frozen=True, slots=True)
class SpeechPiece:
    """Speech of a single track within a short time."""

    track: int
    #: Frame numbers of the recording, in order.
    frames: FrameIndices


def cut_pieces(tracks: Sequence[SpeakerTrack]) -> list[SpeechPiece]:
    """Return the pieces of all tracks. If a track is never alone, its pieces include others."""
    count = max((track.end for track in tracks), default=0)
    speaking = np.zeros(count, np.intp)
    for track in tracks:
        speaking[track.start : track.end] += track.likelihood > SPEECH_THRESHOLD
    pieces = []
    for number, track in enumerate(tracks):
        spoken = track.start + np.flatnonzero(track.likelihood > SPEECH_THRESHOLD)
        alone = spoken[speaking[spoken] == 1]
        chosen = alone if len(alone) >= MIN_FRAMES else spoken
        pieces += [SpeechPiece(number, frames) for frames in _split_frames(chosen)]
    return pieces


def _split_frames(frames: FrameIndices) -> Iterator[FrameIndices]:
    """Split frames where a piece would be too long; a short rest is joined to the piece before."""
    parts: list[FrameIndices] = []
    while len(frames):
        size = int(np.searchsorted(frames, frames[0] + MAX_SPREAD_FRAMES))
        size = min(size, USUAL_FRAMES)
        parts.append(frames[:size])
        frames = frames[size:]
    for index in range(len(parts) - 1, 0, -1):
        is_near = parts[index][-1] - parts[index - 1][0] <= 2 * MAX_SPREAD_FRAMES
        if len(parts[index]) < USUAL_FRAMES // 2 and is_near:
            parts[index - 1] = np.concatenate([parts[index - 1], parts.pop(index)])
    yield from parts


def extract_samples(piece: SpeechPiece, samples: Floats) -> Floats:
    """Return the samples of a piece, its intervals concatenated."""
    runs = np.split(piece.frames, np.flatnonzero(np.diff(piece.frames) > 1) + 1)
    slices = [samples[run[0] * FRAME_SAMPLES : (run[-1] + 1) * FRAME_SAMPLES] for run in runs]
    return np.concatenate(slices)
