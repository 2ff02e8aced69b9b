"""Convert tracks, whose pieces have voices, to turns of speakers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
from numpy.typing import NDArray

from engines import wav
from engines.arrays import FrameIndices
from engines.neural.clustering import Labels
from engines.neural.segmentation import FRAME_SAMPLES
from engines.neural.speaker_tracks import SPEECH_THRESHOLD, SpeakerTrack
from engines.neural.speech_pieces import SpeechPiece
from transcripts.types import Turn

#: Seconds of a frame, and offset from its start to the audio that it describes.
FRAME_SECONDS, SHIFT_SECONDS = FRAME_SAMPLES / wav.RATE, 0.0226
#: Longest silence within a turn, and shortest turn (seconds).
MAX_PAUSE_SECONDS, MIN_TURN_SECONDS = 0.5, 0.1


def find_turns(
    tracks: Sequence[SpeakerTrack], pieces: Sequence[SpeechPiece], labels: Labels, duration: float
) -> tuple[tuple[Turn, ...], dict[int, int]]:
    """Return the turns by start, and the speaker number of each label.

    Speakers are numbered by first appearance; turns overlap where two speak at once. *labels*: the
    voice of each piece. *duration*: seconds of the recording.
    """
    frames, voices = _assign_voices(tracks, pieces, labels)
    intervals = [
        (start, end, int(label))
        for label in np.unique(labels)
        for start, end in _find_intervals(np.unique(frames[voices == label]), duration)
    ]
    intervals.sort()
    order = dict.fromkeys(label for _, _, label in intervals)
    numbers = {label: number for number, label in enumerate(order)}
    return tuple(Turn(start, end, numbers[label]) for start, end, label in intervals), numbers


def _assign_voices(
    tracks: Sequence[SpeakerTrack], pieces: Sequence[SpeechPiece], labels: Labels
) -> tuple[FrameIndices, Labels]:
    """Return the frames in which tracks speak, each with the voice of the track's nearest piece."""
    pieces_by_track: dict[int, list[tuple[FrameIndices, int]]] = {}
    for piece, voice in zip(pieces, labels, strict=True):
        pieces_by_track.setdefault(piece.track, []).append((piece.frames, int(voice)))
    spoken, voices = [], []
    for number, track_pieces in pieces_by_track.items():
        track = tracks[number]
        spoken.append(track.start + np.flatnonzero(track.likelihood > SPEECH_THRESHOLD))
        frames = np.concatenate([frames for frames, _ in track_pieces])
        frame_voices = np.concatenate(
            [np.full(len(frames), voice) for frames, voice in track_pieces]
        )
        voices.append(_find_nearest_voices(frames, frame_voices, spoken[-1]))
    return np.concatenate(spoken), np.concatenate(voices)


def _find_nearest_voices(
    known_frames: FrameIndices, voices: Labels, frames: FrameIndices
) -> Labels:
    """Return for each frame the voice of the nearest known frame."""
    order = np.argsort(known_frames, kind="stable")
    known_frames, voices = known_frames[order], voices[order]
    after = np.clip(np.searchsorted(known_frames, frames), 0, len(known_frames) - 1)
    before = np.maximum(after - 1, 0)
    is_before = np.abs(known_frames[before] - frames) < np.abs(known_frames[after] - frames)
    nearest: NDArray[np.intp] = voices[np.where(is_before, before, after)]
    return nearest


def _find_intervals(frames: FrameIndices, duration: float) -> Iterator[tuple[float, float]]:
    """Yield start and end (seconds) of speech without a long pause."""
    if not len(frames):
        return
    ends = np.flatnonzero(np.diff(frames) * FRAME_SECONDS > MAX_PAUSE_SECONDS) + 1
    for run in np.split(frames, ends):
        start = max(0.0, float(run[0]) * FRAME_SECONDS + SHIFT_SECONDS)
        end = min(duration, float(run[-1] + 1) * FRAME_SECONDS + SHIFT_SECONDS)
        if end - start >= MIN_TURN_SECONDS:
            yield start, end
