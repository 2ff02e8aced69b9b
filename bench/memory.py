"""Memory of a process with a model of Whisper in it: ``python -m bench.memory [MODEL …]``.

Models that lie on this machine are measured as they are. Others are measured with random weights of
the same graph: those take the same memory, and say nothing that could be read. Eight windows of
half a minute are heard at once, with int8 numbers on a processor.
"""

from __future__ import annotations

import shutil
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench import given
from bench.figures import Figure, Measured, tell
from core.settings import settings
from engines import catalog
from engines.models import local_models

#: Windows heard at once, and tokens written of each: half a minute of quick speech.
BATCH, TOKENS = 8, 224
VOCABULARY = 51_865


@dataclass(frozen=True, slots=True)
class Shape:
    """The graph of a model, as openai/whisper has it."""

    width: int
    heads: int
    encoder_layers: int
    decoder_layers: int
    mel_bands: int = 80


SHAPES = {
    "tiny": Shape(384, 6, 4, 4),
    "base": Shape(512, 8, 6, 6),
    "small": Shape(768, 12, 12, 12),
    "medium": Shape(1024, 16, 24, 24),
    "large-v3-turbo": Shape(1280, 20, 32, 4, 128),
    "large-v3": Shape(1280, 20, 32, 32, 128),
}
USUAL = ("tiny.en", "base", "small", "large-v3-turbo")


def measure(models: Sequence[str] = USUAL) -> Measured:
    """A row for each model: what admission counts with must be enough."""
    return Measured([_figure(model) for model in models])


def _figure(model: str) -> Figure:
    found = local_models.find_whisper_model(model)
    with tempfile.TemporaryDirectory() as folder:
        weights = found.folder or _write_random(Path(folder), SHAPES[model])
        command = [sys.executable, "-m", "bench.memory", "--of", weights]
        peak = int(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    allowed = catalog.memory_mb(catalog.WHISPER, model)
    kind = "real weights" if found.folder else "random weights of the same graph"
    return Figure(
        f"memory of a process with {model}, {kind}",
        f"≤ {allowed} MB, which admission counts with",
        f"{peak} MB",
        peak <= allowed,
        peak / allowed,
        "what admission counts with",
    )


def _peak_mb(weights: Path) -> int:
    """Hear, in this process, and tell the most memory that it ever held."""
    from engines.whisper import FasterWhisper
    from engines.whisper_model import model as whisper_model

    FasterWhisper()  # with all that a worker imports
    loaded = whisper_model.WhisperModel(
        str(weights), device="cpu", compute_type="int8", cpu_threads=1
    )
    bands = loaded.model.n_mels
    tokenizer = whisper_model.Tokenizer(
        loaded.hf_tokenizer, loaded.model.is_multilingual, task="transcribe", language="en"
    )
    silence = np.zeros((1, bands, 3000), np.float32)
    encoded = np.concatenate([np.array(loaded.encode(silence)) for _ in range(BATCH)])
    loaded.model.generate(
        whisper_model.ctranslate2.StorageView.from_array(encoded),
        [[*tokenizer.sot_sequence, tokenizer.no_timestamps]] * BATCH,
        beam_size=whisper_model.BEAM_SIZE,
        max_length=TOKENS,
        suppress_tokens=[tokenizer.eot],
    )
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) // 1024


def _write_random(folder: Path, shape: Shape) -> Path:
    """A model of that shape in the files of CTranslate2, with the words of the usual model."""
    from ctranslate2.specs.whisper_spec import WhisperSpec

    spec = WhisperSpec(shape.encoder_layers, shape.heads, shape.decoder_layers, shape.heads)
    _fill(spec, shape)
    usual = local_models.find_whisper_model(settings().whisper_default_model).folder
    assert usual, "the words of a model are needed: transcribe models pull base"
    shutil.copy(usual / "tokenizer.json", folder / "tokenizer.json")
    spec.register_vocabulary(_vocabulary(usual))
    spec.validate()
    spec.optimize(quantization="float16")
    spec.save(str(folder))
    (folder / "preprocessor_config.json").write_text(f'{{"feature_size": {shape.mel_bands}}}')
    return folder


def _vocabulary(folder: Path) -> list[str]:
    return (folder / "vocabulary.txt").read_text(encoding="utf-8").split("\n")[:VOCABULARY]


def _fill(spec: Any, shape: Shape) -> None:
    random, width = np.random.default_rng(1), shape.width

    def some(*size: int) -> np.ndarray[Any, Any]:
        return (random.standard_normal(size, np.float32) * 0.02).astype(np.float32)

    def fill(linear: Any, outputs: int, inputs: int) -> None:
        linear.weight, linear.bias = some(outputs, inputs), some(outputs)

    def norm(layer: Any) -> None:
        layer.gamma, layer.beta = np.ones(width, np.float32), some(width)

    encoder, decoder = spec.encoder, spec.decoder
    for conv, inputs in ((encoder.conv1, shape.mel_bands), (encoder.conv2, width)):
        conv.weight, conv.bias = some(width, inputs, 3), some(width)
    encoder.position_encodings.encodings = some(1500, width)
    decoder.position_encodings.encodings = some(448, width)
    decoder.embeddings.weight = some(VOCABULARY, width)
    decoder.projection.weight = some(VOCABULARY, width)
    for half in (encoder, decoder):
        norm(half.layer_norm)
        for layer in half.layer:
            for block in (layer.self_attention, layer.ffn):
                norm(block.layer_norm)
            fill(layer.self_attention.linear[0], 3 * width, width)
            fill(layer.self_attention.linear[1], width, width)
            fill(layer.ffn.linear_0, 4 * width, width)
            fill(layer.ffn.linear_1, width, 4 * width)
    for layer in decoder.layer:
        norm(layer.attention.layer_norm)
        fill(layer.attention.linear[0], width, width)
        fill(layer.attention.linear[1], 2 * width, width)
        fill(layer.attention.linear[2], width, width)


if __name__ == "__main__":
    parser = given.parser(__doc__)
    parser.add_argument("models", nargs="*", default=USUAL)
    parser.add_argument("--of", type=Path, help="weights to be measured in this process")
    told = parser.parse_args()
    if told.of:
        print(_peak_mb(told.of))
        sys.exit()
    sys.exit(tell("memory", measure(told.models)))
