"""Voice embeddings of pieces of speech, as vectors of length one."""

from __future__ import annotations

import kaldi_native_fbank
import numpy as np

from engines import wav
from engines.arrays import Floats
from engines.neural.onnx_sessions import Net

#: Number of mel frequency bands.
MEL_BANDS = 80
#: Samples of the shortest piece with an embedding.
MIN_SAMPLES = wav.RATE // 4


def embed(net: Net, samples: Floats) -> Floats:
    """Return the voice of a piece of speech: 16 kHz, mono, -1 to 1, `MIN_SAMPLES` or more."""
    energies = measure_bands(samples)
    [vector] = net.run((energies - energies.mean(0))[None])
    unit_vector: Floats = vector / np.linalg.norm(vector)
    return unit_vector


def measure_bands(samples: Floats) -> Floats:
    """Return Kaldi's log energies of mel bands, ``(frames, MEL_BANDS)``, 100 frames per second."""
    options = kaldi_native_fbank.FbankOptions()
    options.frame_opts.samp_freq = wav.RATE
    options.frame_opts.dither = 0.0
    options.mel_opts.num_bins = MEL_BANDS
    bank = kaldi_native_fbank.OnlineFbank(options)
    bank.accept_waveform(wav.RATE, samples.tolist())
    bank.input_finished()
    return np.stack([bank.get_frame(index) for index in range(bank.num_frames_ready)])
