"""Voices of stretches of speech, as vectors of length one."""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np

from engines import wav
from engines.neural.sessions import Floats, Net

#: Of pitch.
BANDS = 80
#: Samples of the shortest stretch that has a voice.
LEAST = wav.RATE // 4


def embed(net: Net, sound: Floats) -> Floats:
    """The voice of one stretch of sound: 16 kHz, mono, -1 to 1, at least `LEAST` samples."""
    energies = measure_bands(sound)
    [vector] = net.run((energies - energies.mean(0))[None])
    return vector / np.linalg.norm(vector)


def measure_bands(sound: Floats) -> Floats:
    """Log energies of mel bands as Kaldi has them, ``(frames, BANDS)``, a hundred a second."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = wav.RATE
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = BANDS
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(wav.RATE, sound.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(at) for at in range(bank.num_frames_ready)])
