"""A whole pyannote pipeline that needs no download: everything comes from inside WhisperX's wheel.

The wheel holds a trained segmentation model. Its first layers know voices apart well enough to make
speaker embeddings of them, once they are put to one scale with the help of our sample conversation.
"""

from __future__ import annotations

import shutil
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import yaml
from torch import nn

from engines.torch_support.library_warnings import ignore_library_warnings
from tests.engines.tiny import RATE, SAMPLE, decoded

with ignore_library_warnings():
    from pyannote.audio.core.model import Model
    from pyannote.audio.core.task import Problem, Resolution, Specifications
    from pyannote.audio.models.blocks.sincnet import SincNet

#: Numbers of an embedding: mean and spread of each of the layer's outputs.
SIZE = 512
#: Frames of speech that an embedding needs.
LEAST_FRAMES = 3
#: Cosine distance up to which two voices are one.
THRESHOLD = 0.6


class FirstLayers(Model):
    """The first layers of a segmentation model, as a speaker embedding."""

    def __init__(self, sample_rate: int = RATE, num_channels: int = 1, task: None = None) -> None:
        super().__init__(sample_rate=sample_rate, num_channels=num_channels, task=task)
        self.sincnet = SincNet(sample_rate=sample_rate, stride=10)
        self.lstm = nn.LSTM(60, 128, num_layers=1, bidirectional=True, batch_first=True)
        self.register_buffer("middle", torch.zeros(SIZE))
        self.register_buffer("scale", torch.ones(SIZE))

    @property
    def dimension(self) -> int:
        return SIZE

    def num_frames(self, num_samples: int) -> int:
        return self.sincnet.num_frames(num_samples)

    def receptive_field_size(self, num_frames: int = 1) -> int:
        return self.sincnet.receptive_field_size(num_frames=num_frames)

    def receptive_field_center(self, frame: int = 0) -> int:
        return self.sincnet.receptive_field_center(frame=frame)

    def forward(self, waveforms: torch.Tensor, weights: torch.Tensor | None = None) -> torch.Tensor:
        outputs = self.lstm(self.sincnet(waveforms).transpose(1, 2))[0]
        if weights is None:
            weights = outputs.new_ones(outputs.shape[0], outputs.shape[1])
        share = nn.functional.interpolate(weights[:, None].float(), size=outputs.shape[1])[:, 0]
        total = share.sum(1, keepdim=True).clamp_min(1e-8)
        mean = (outputs * share[..., None]).sum(1) / total
        spread = ((outputs - mean[:, None]) ** 2 * share[..., None]).sum(1) / total
        found = (torch.cat([mean, spread.clamp_min(1e-6).sqrt()], 1) - self.middle) / self.scale
        found[share.sum(1) < LEAST_FRAMES] = float("nan")
        return found


def build(folder: Path) -> Path:
    """Write the pipeline's folder, as one that an operator would have."""
    spec = find_spec("whisperx")
    assert spec is not None
    assert spec.origin is not None
    trained = Path(spec.origin).parent / "assets" / "pytorch_model.bin"
    (folder / "segmentation").mkdir(parents=True)
    shutil.copy(trained, folder / "segmentation" / "pytorch_model.bin")
    save_model(_embedding(trained), folder / "embedding" / "pytorch_model.bin")
    save_plda(folder / "plda", SIZE)
    clustering = {"method": "average", "min_cluster_size": 4, "threshold": THRESHOLD}
    write_config(folder, {"threshold": 0.5, "min_duration_off": 0.0}, clustering)
    return folder


def _embedding(trained: Path) -> FirstLayers:
    whole = Model.from_pretrained(trained)
    model = FirstLayers()
    model.sincnet.load_state_dict(whole.sincnet.state_dict())
    first = model.lstm.state_dict().keys()
    model.lstm.load_state_dict({name: whole.lstm.state_dict()[name] for name in first})
    model.eval()
    found = _of_sample(model)
    model.middle[:], model.scale[:] = found.mean(0), found.std(0) + 1e-6
    return model


def _of_sample(model: FirstLayers) -> torch.Tensor:
    """Embeddings of every second of the sample conversation that is not silent."""
    sound = torch.from_numpy(decoded(SAMPLE).astype(np.float32) / 32768)
    pieces = [piece for piece in sound.split(2 * RATE) if len(piece) == 2 * RATE]
    with torch.inference_mode():
        return torch.cat([model(piece[None, None]) for piece in pieces if piece.abs().max() > 0.01])


def save_model(model: Model, path: Path) -> None:
    model.specifications = Specifications(
        problem=Problem.REPRESENTATION, resolution=Resolution.CHUNK, duration=5.0
    )
    checkpoint = {
        "state_dict": model.state_dict(),
        "hyper_parameters": dict(model.hparams),
        "pytorch-lightning_version": "2.6.6",
        "epoch": 0,
        "global_step": 0,
    }
    model.on_save_checkpoint(checkpoint)
    path.parent.mkdir()
    torch.save(checkpoint, path)


def save_plda(folder: Path, size: int) -> None:
    """It is always loaded, if only to be left alone."""
    folder.mkdir()
    few = size // 4
    np.savez(
        folder / "xvec_transform.npz",
        mean1=np.zeros(size), mean2=np.zeros(few), lda=np.eye(size, few),
    )  # fmt: skip
    np.savez(folder / "plda.npz", mu=np.zeros(few), tr=np.eye(few), psi=np.linspace(5, 0.5, few))


def write_config(
    folder: Path, segmentation: dict[str, object], clustering: dict[str, object]
) -> None:
    """Write what names the parts of the pipeline, and the parameters of two of them."""
    params = {
        "clustering": "AgglomerativeClustering",
        "segmentation": "$model/segmentation",
        "embedding": "$model/embedding",
        "plda": "$model/plda",
        "embedding_exclude_overlap": True,
    }
    config = {
        "dependencies": {"pyannote.audio": "4.0.0"},
        "pipeline": {"name": "pyannote.audio.pipelines.SpeakerDiarization", "params": params},
        "params": {"segmentation": segmentation, "clustering": clustering},
    }
    (folder / "config.yaml").write_text(yaml.safe_dump(config))
