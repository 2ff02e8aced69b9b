"""Mix many channels to one, so that no speaker on any channel is lost."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Shorts = NDArray[np.int16]

#: Seconds in which weights and offset change gradually, so that no step is audible.
_GLIDE_SECONDS = 0.02
#: Factor by which the statistics decay per block (about a second): a memory of about ten seconds.
_DECAY = 0.9
#: Channels with a lower correlation are inverted copies of one signal (right = -left).
_OPPOSITE_CORRELATION = -0.5
#: Below this a channel is silent (-100 dBFS).
_SILENCE_LEVEL = 1e-5
#: A mean above this is an offset of the recorder and not audio (-40 dBFS).
_MIN_OFFSET = 0.01
#: An offset is steady: it exceeds the deviation of the means of this many pieces by this factor.
_STEADY_DEVIATIONS = 4.0
_OFFSET_PIECES = 10
#: A plain mean is good enough while it is less than this factor (5 dB) too quiet.
_TOO_QUIET = 1.8


class Mixer:
    """Mixes blocks of one recording to mono; blocks are about a second long.

    A plain mean loses channels that cancel each other, and makes one voice among seven silent
    channels seven times too quiet. So the weights follow the channels: a channel that is the
    inverse of the loudest one is inverted again. The sum is divided by the number of channels that
    carry audio, not by the total number. Equal channels give their mean.

    As long as none of this is needed, FFmpeg's own mix is used, sample by sample: so ordinary
    recordings give the same result as other FFmpeg-based tools.
    """

    def __init__(self, channels: int, rate: int) -> None:
        self._glide = round(_GLIDE_SECONDS * rate)
        self._covariance = np.zeros((channels, channels))
        self._weights = np.full(channels, 1 / channels)
        self._offset: float | None = None
        self._is_plain = True

    def mix(self, block: Floats, plain: Shorts) -> Shorts:
        """Return a block as 16-bit mono samples.

        *block* has the shape (channels, samples), with a full scale of 1.0; *plain* is FFmpeg's mix
        of the same samples. Once *plain* was not good enough it is not used again, so that the
        level does not jump.
        """
        was_plain, is_first = self._is_plain, self._offset is None
        is_sound = bool(np.isfinite(block).all())  # checked first: weighing replaces NaN
        mixed = self._weigh_channels(block)
        self._is_plain = was_plain and is_sound and not self._offset and self._is_mean_loud()
        if self._is_plain:
            return plain
        if was_plain and not is_first and len(plain) > self._glide:
            fade = np.linspace(1, 0, self._glide, dtype=np.float32)
            head = plain[: self._glide].astype(np.float32) / 32768
            mixed[: self._glide] += fade * (head - mixed[: self._glide])
        return to_pcm(mixed)

    def _is_mean_loud(self) -> bool:
        return bool((self._weights > 0).all()) and self._weights.sum() < _TOO_QUIET

    def _weigh_channels(self, block: Floats) -> Floats:
        block = np.clip(np.nan_to_num(block, copy=False, nan=0.0), -1.0, 1.0)
        if len(block) == 1:
            return self._remove_offset(block[0])
        is_first = not self._covariance.any()
        previous, self._weights = self._weights, self._compute_weights(block)
        mixed = self._weights.astype(np.float32) @ block
        if not is_first and not np.array_equal(previous, self._weights):
            head = block[:, : self._glide]
            fade = np.linspace(1, 0, head.shape[1], dtype=np.float32)
            change = (previous - self._weights).astype(np.float32)
            mixed[: self._glide] += fade * (change @ head)
        return self._remove_offset(mixed)

    def _compute_weights(self, block: Floats) -> NDArray[np.float64]:
        self._covariance *= _DECAY
        self._covariance += (block @ block.T) / max(1, block.shape[1])
        level = np.sqrt(np.diag(self._covariance))
        if level.max() < _SILENCE_LEVEL:
            return self._weights
        loudest = int(level.argmax())
        agreement = self._covariance[loudest] / np.maximum(level * level[loudest], 1e-20)
        signs = np.where(agreement < _OPPOSITE_CORRELATION, -1.0, 1.0)
        # The louder of two inverted channels may change; the sign of the mix must not change with
        # it.
        if signs @ self._weights < 0:
            signs = -signs
        weights: NDArray[np.float64] = signs * (level[loudest] / level.sum())
        return weights

    def _remove_offset(self, mono: Floats) -> Floats:
        """Remove a constant offset, which level measurements would count as audio."""
        offset = _measure_offset(mono)
        previous = offset if self._offset is None else self._offset
        self._offset = offset
        if offset == previous == 0.0:
            return mono
        curve = np.full(len(mono), offset, dtype=np.float32)
        curve[: self._glide] = np.linspace(previous, offset, self._glide)[: len(mono)]
        return mono - curve


def _measure_offset(mono: Floats) -> float:
    """Return the constant offset of the audio; rumble has a mean too, but it varies."""
    if len(mono) < _OFFSET_PIECES:
        return 0.0
    means = [piece.mean() for piece in np.array_split(mono, _OFFSET_PIECES)]
    mean = float(np.mean(means))
    return mean if abs(mean) > max(_MIN_OFFSET, _STEADY_DEVIATIONS * float(np.std(means))) else 0.0


def to_pcm(mono: Floats) -> Shorts:
    """Return *mono* (full scale 1.0) as 16-bit samples."""
    return np.clip(np.rint(mono * 32768), -32768, 32767).astype(np.int16)
