"""Cuts tracks into pieces of clean speech, of which each has a voice."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from engines.arrays import Floats, FrameIndices
from engines.neural.segmentation import FRAME_SAMPLES
from engines.neural.speaker_tracks import SPEECH_THRESHOLD, SpeakerTrack

#: Frames of a piece: three seconds, if the speaker says as much; and of one that has a voice.
USUAL_FRAMES, MIN_FRAMES = 178, 24
#: Frames over which a piece may spread, pauses included.
MAX_SPREAD_FRAMES = 592


@dataclass(frozen=True, slots=True)
class SpeechPiece:
    """What one track says by itself in a short time."""

    track: int
    #: Of the recording, in order.
    frames: FrameIndices


def cut_pieces(tracks: Sequence[SpeakerTrack]) -> list[SpeechPiece]:
    """The pieces of all tracks. A track that is never alone has pieces with others in them."""
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
    """Cut where a piece would be too long, in the order of time; a rest that is short is joined."""
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
    """The samples of a piece, one interval after the other."""
    runs = np.split(piece.frames, np.flatnonzero(np.diff(piece.frames) > 1) + 1)
    slices = [samples[run[0] * FRAME_SAMPLES : (run[-1] + 1) * FRAME_SAMPLES] for run in runs]
    return np.concatenate(slices)
