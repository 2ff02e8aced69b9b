"""CAM++, a speaker embedding, as a model of pyannote that the makers' weights fit.

Wang et al., "CAM++: A Fast and Efficient Network for Speaker Verification Using Context-Aware
Masking" (2023). Names of parts are those of the weights.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from engines.torch_support.library_warnings import ignore_library_warnings

with ignore_library_warnings():
    from pyannote.audio.core.model import Model
    from torchaudio.compliance import kaldi

RATE = 16_000
BANDS, SIZE = 80, 192
#: Samples of a frame of features, and from one to the next.
FRAME, STEP = 400, 160
#: Frames of speech that an embedding needs.
LEAST_FRAMES = 20
#: Frames that share one context in a mask.
SEGMENT = 100
#: Layers, dilation and outputs of each layer of the dense blocks.
BLOCKS, GROWTH = ((12, 1), (24, 2), (16, 2)), 32


class ResidualBlock(nn.Module):
    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, channels, 3, (stride, 1), 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.conv2 = nn.Conv2d(channels, channels, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.shortcut = nn.Sequential()
        if stride > 1:
            self.shortcut.append(nn.Conv2d(channels, channels, 1, (stride, 1), bias=False))
            self.shortcut.append(nn.BatchNorm2d(channels))

    def forward(self, x: Tensor) -> Tensor:
        inner = self.bn2(self.conv2(functional.relu(self.bn1(self.conv1(x)))))
        return functional.relu(inner + self.shortcut(x))


class Head(nn.Module):
    """Two-dimensional convolutions, after which an eighth of the bands is left."""

    def __init__(self, channels: int = 32) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, channels, 3, 1, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.layer1 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.layer2 = nn.Sequential(ResidualBlock(channels, 2), ResidualBlock(channels, 1))
        self.conv2 = nn.Conv2d(channels, channels, 3, (2, 1), 1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.outputs = channels * BANDS // 8

    def forward(self, x: Tensor) -> Tensor:
        x = functional.relu(self.bn1(self.conv1(x[:, None])))
        x = functional.relu(self.bn2(self.conv2(self.layer2(self.layer1(x)))))
        return x.flatten(1, 2)


class Nonlinear(nn.Sequential):
    def __init__(self, channels: int) -> None:
        super().__init__()
        self.add_module("batchnorm", nn.BatchNorm1d(channels))
        self.add_module("relu", nn.ReLU())


class FirstLayer(nn.Module):
    """Time delays over five frames; every second frame is left."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, outputs, 5, 2, 2, bias=False)
        self.nonlinear = Nonlinear(outputs)

    def forward(self, x: Tensor) -> Tensor:
        return self.nonlinear(self.linear(x))


class MaskedLayer(nn.Module):
    """A convolution under a mask that follows from the mean of all and of each segment."""

    def __init__(self, inputs: int, outputs: int, dilation: int) -> None:
        super().__init__()
        self.linear_local = nn.Conv1d(
            inputs, outputs, 3, padding=dilation, dilation=dilation, bias=False
        )
        self.linear1 = nn.Conv1d(inputs, inputs // 2, 1)
        self.linear2 = nn.Conv1d(inputs // 2, outputs, 1)

    def forward(self, x: Tensor) -> Tensor:
        means = functional.avg_pool1d(x, SEGMENT, SEGMENT, ceil_mode=True)
        context = (
            x.mean(-1, keepdim=True) + means.repeat_interleave(SEGMENT, -1)[..., : x.shape[-1]]
        )
        mask = torch.sigmoid(self.linear2(functional.relu(self.linear1(context))))
        return self.linear_local(x) * mask


class DenseLayer(nn.Module):
    def __init__(self, inputs: int, dilation: int) -> None:
        super().__init__()
        inner = 4 * GROWTH
        self.nonlinear1 = Nonlinear(inputs)
        self.linear1 = nn.Conv1d(inputs, inner, 1, bias=False)
        self.nonlinear2 = Nonlinear(inner)
        self.cam_layer = MaskedLayer(inner, GROWTH, dilation)

    def forward(self, x: Tensor) -> Tensor:
        return self.cam_layer(self.nonlinear2(self.linear1(self.nonlinear1(x))))


class DenseBlock(nn.Module):
    """Each layer reads what all before it have written."""

    def __init__(self, layers: int, inputs: int, dilation: int) -> None:
        super().__init__()
        for number in range(layers):
            layer = DenseLayer(inputs + number * GROWTH, dilation)
            self.add_module(f"tdnnd{number + 1}", layer)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.children():
            x = torch.cat([x, layer(x)], 1)
        return x


class Transit(nn.Module):
    """Halves the channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.nonlinear = Nonlinear(channels)
        self.linear = nn.Conv1d(channels, channels // 2, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.nonlinear(x))


class Statistics(nn.Module):
    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([x.mean(-1), x.std(-1)], 1)


class LastLayer(nn.Module):
    def __init__(self, inputs: int) -> None:
        super().__init__()
        self.linear = nn.Conv1d(inputs, SIZE, 1, bias=False)
        self.nonlinear = nn.Sequential()
        self.nonlinear.add_module("batchnorm", nn.BatchNorm1d(SIZE, affine=False))

    def forward(self, x: Tensor) -> Tensor:
        return self.nonlinear(self.linear(x[..., None]).squeeze(-1))


class CamPlusPlus(Model):
    """Gives the voice of each sound, or of the frames that its weights choose."""

    def __init__(self, sample_rate: int = RATE, num_channels: int = 1, task: None = None) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.head = Head()
        channels = 128
        self.xvector = nn.Sequential()
        self.xvector.add_module("tdnn", FirstLayer(self.head.outputs, channels))
        for number, (layers, dilation) in enumerate(BLOCKS, 1):
            self.xvector.add_module(f"block{number}", DenseBlock(layers, channels, dilation))
            channels += layers * GROWTH
            self.xvector.add_module(f"transit{number}", Transit(channels))
            channels //= 2
        self.xvector.add_module("out_nonlinear", Nonlinear(channels))
        self.xvector.add_module("stats", Statistics())
        self.xvector.add_module("dense", LastLayer(2 * channels))

    @property
    def dimension(self) -> int:
        return SIZE

    def num_frames(self, num_samples: int) -> int:
        return 1 + max(0, num_samples - FRAME) // STEP

    def receptive_field_size(self, num_frames: int = 1) -> int:
        return FRAME + (num_frames - 1) * STEP

    def receptive_field_center(self, frame: int = 0) -> int:
        return FRAME // 2 + frame * STEP

    def forward(self, waveforms: Tensor, weights: Tensor | None = None) -> Tensor:
        chosen = [None] * len(waveforms) if weights is None else weights
        pairs = zip(waveforms, chosen, strict=True)
        return torch.stack([self._embed(sound, choice) for sound, choice in pairs])

    def _embed(self, sound: Tensor, weights: Tensor | None) -> Tensor:
        if sound.shape[-1] < FRAME:
            return sound.new_full((SIZE,), float("nan"))
        features = kaldi.fbank(sound, num_mel_bins=BANDS, sample_frequency=RATE, dither=0.0)
        if weights is not None:
            each = functional.interpolate(weights[None, None].float(), size=len(features))
            features = features[each[0, 0] > 0.5]
        if len(features) < LEAST_FRAMES:
            return sound.new_full((SIZE,), float("nan"))
        features = features - features.mean(0)
        return self.xvector(self.head(features.T[None]))[0]


def load(weights: Path) -> CamPlusPlus:
    """With the makers' weights, every one of them."""
    model = CamPlusPlus()
    model.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    return model.eval()
