"""The graphs of `neural` give what PyTorch gives with the same weights."""

from __future__ import annotations

import numpy as np
import pytest

from engines.neural import checkpoint, embedding, embedding_net, segmentation_net
from engines.neural.onnx_sessions import Net
from engines.torch_support.library_warnings import ignore_library_warnings
from tests.engines import tiny
from tests.models.conftest import MODEL_DIR, require

pytestmark = tiny.needs("pyannote.audio", "pyannote")

#: The most that a number may differ by.
TOLERANCE = 1e-4
SEGMENTATION = MODEL_DIR / "segmentation-3.0" / "pytorch_model.bin"
EMBEDDING = MODEL_DIR / "campplus-zh-en" / "campplus_cn_en_common.pt"


@pytest.fixture(autouse=True)
def needs_weights() -> None:
    require("segmentation-3.0", "campplus-zh-en")


def noise(*shape: int) -> np.ndarray:
    return np.random.default_rng(3).standard_normal(shape).astype(np.float32)


@pytest.mark.parametrize("loudness", [1.0, 0.01])
@pytest.mark.parametrize("samples", [160_000, 48_000])
def test_the_segmentation_is_that_of_pytorch(loudness: float, samples: int):
    import torch

    with ignore_library_warnings():
        from pyannote.audio import Model

    sound = loudness * noise(2, 1, samples)
    theirs = Model.from_pretrained(SEGMENTATION).eval()
    with torch.inference_mode():
        expected = theirs(torch.from_numpy(sound)).numpy()
    ours = Net(segmentation_net.build(checkpoint.read_tensors(SEGMENTATION))).run(sound)
    assert ours.shape == expected.shape
    assert np.abs(np.exp(ours) - np.exp(expected)).max() <= TOLERANCE


@pytest.mark.parametrize("frames", [30, 99, 100, 101, 298, 1000])
def test_the_voices_are_those_of_pytorch(frames: int):
    import torch

    from tests.models import campplus

    features = noise(2, frames, 80)
    theirs = campplus.load(EMBEDDING)
    with torch.inference_mode():
        expected = theirs.xvector(theirs.head(torch.from_numpy(features).transpose(1, 2))).numpy()
    ours = Net(embedding_net.build(checkpoint.read_tensors(EMBEDDING))).run(features)
    assert np.abs(ours - expected).max() <= TOLERANCE * np.abs(expected).max()


def test_the_bands_are_those_of_kaldi():
    import torch
    from torchaudio.compliance import kaldi

    sound = 0.1 * noise(16_000)
    expected = kaldi.fbank(
        torch.from_numpy(sound)[None], num_mel_bins=80, sample_frequency=16_000, dither=0.0
    ).numpy()
    ours = embedding.measure_bands(sound)
    assert ours.shape == expected.shape
    assert np.abs(ours - expected).max() <= 0.01


def test_tensors_are_those_that_pytorch_reads():
    import torch

    theirs = torch.load(EMBEDDING, map_location="cpu", weights_only=True)
    ours = checkpoint.read_tensors(EMBEDDING)
    assert ours.keys() == theirs.keys()
    for name, tensor in theirs.items():
        assert np.array_equal(ours[name], tensor.numpy())
