"""pyannote.audio: a neural diarizer with voice embeddings and overlapping turns."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# Otherwise pyannote reports durations and speaker counts of our recordings to its makers.
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import huggingface_hub.constants
import numpy as np
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from core.errors import EngineError, Transient
from core.settings import settings
from engines import wav
from engines.arrays import Samples, read_samples
from engines.base import SpeakerHints
from engines.models.local_models import find_pipeline_folder
from engines.torch_support import devices
from engines.torch_support.library_warnings import ignore_library_warnings
from transcripts.types import Diarization, Turn

with ignore_library_warnings():
    from pyannote.audio import Pipeline

#: Samples of the shortest audio that the pipeline accepts.
_MIN_SAMPLES = wav.RATE // 10


class PyannoteDiarizer:
    """Detects who speaks when with a pipeline of pyannote.audio 4.

    ``PYANNOTE_MODEL`` names the pipeline. Memory grows with the recording, so it gets shards. Turns
    overlap where two speak at once. Speakers are numbered by first appearance.
    """

    def __init__(self, device: str | None = None) -> None:
        """Load the pipeline; *device* replaces ``PYANNOTE_DEVICE``."""
        self._device = devices.choose_device(
            device or settings().pyannote_device, "PYANNOTE_DEVICE"
        )
        with ignore_library_warnings():
            self._pipeline = _load_pipeline(settings().pyannote_model).to(self._device)
        size = settings().pyannote_batch_size
        self._pipeline.segmentation_batch_size = size
        self._pipeline.embedding_batch_size = size

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        """Find the turns, with fewer than ``min_speakers`` only if there is too little speech.

        The batch size is halved if memory runs out.
        """
        samples = read_samples(audio)
        if len(samples) < _MIN_SAMPLES:
            return Diarization(())
        while True:
            try:
                with ignore_library_warnings():
                    output = self._pipeline(_build_input(samples), **_speaker_bounds(hints))
                return _build_diarization(output)
            except (RuntimeError, MemoryError) as error:
                if not devices.is_out_of_memory(error):
                    raise
                self._halve_batch(error)

    def _halve_batch(self, error: Exception) -> None:
        devices.free_cache(self._device)
        size = self._pipeline.embedding_batch_size // 2
        if size == 0:
            raise EngineError(
                f"There is not enough memory for pyannote on {self._device}. Run fewer processes, "
                "or set PYANNOTE_DEVICE=cpu."
            ) from error
        self._pipeline.segmentation_batch_size = size
        self._pipeline.embedding_batch_size = size


def _build_input(samples: Samples) -> dict[str, Any]:
    return {"waveform": torch.from_numpy(samples)[None], "sample_rate": wav.RATE}


def _speaker_bounds(hints: SpeakerHints) -> Mapping[str, int | None]:
    if hints.min_speakers is not None and hints.min_speakers == hints.max_speakers:
        return {"num_speakers": hints.min_speakers}
    return {"min_speakers": hints.min_speakers, "max_speakers": hints.max_speakers}


def _build_diarization(output: Any) -> Diarization:
    """Convert the output; labels become numbers by first appearance."""
    tracks = output.speaker_diarization.itertracks(yield_label=True)
    rows = sorted((turn.start, turn.end, label) for turn, _, label in tracks)
    numbers = {label: number for number, label in enumerate(dict.fromkeys(row[2] for row in rows))}
    labels = output.speaker_diarization.labels()
    embeddings = output.speaker_embeddings
    return Diarization(
        tuple(Turn(float(start), float(end), numbers[label]) for start, end, label in rows),
        {
            numbers[label]: tuple(float(value) for value in vector)
            for label, vector in zip(labels, () if embeddings is None else embeddings, strict=False)
            # Embeddings of speakers without enough clear speech are all zeros or NaN.
            if np.isfinite(vector).all() and np.any(vector)
        },
    )


def _load_pipeline(name: str) -> Pipeline:
    if Path(name).is_absolute() or Path(name).exists():
        return _read_pipeline(Path(name))
    if folder := find_pipeline_folder(name):
        return _read_pipeline(folder)
    try:
        return Pipeline.from_pretrained(name, token=settings().hf_token)
    except LocalEntryNotFoundError as error:
        raise _explain_absent(name) from error
    except HfHubHTTPError as error:
        is_refused = getattr(error.response, "status_code", None) in (401, 403)
        raise EngineError(_explain_gated(name) if is_refused else f"{name}: {error}") from error


def _read_pipeline(folder: Path) -> Pipeline:
    try:
        return Pipeline.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(
            f"PYANNOTE_MODEL is {folder}, which is not a folder with a config.yaml and its models: "
            f"{error}"
        ) from error


def _explain_absent(name: str) -> EngineError | Transient:
    """Return the error for a pipeline that is not on this machine."""
    if settings().hf_token is None:
        return EngineError(
            f"{name} is not on this machine, and HF_TOKEN is not set. {_explain_gated(name)}"
        )
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return EngineError(
            f"{name} is not on this machine, and HF_HUB_OFFLINE is set. Set PYANNOTE_MODEL to a "
            "folder that contains a pipeline."
        )
    return Transient(f"{name} is not on this machine, and the hub cannot be reached.", retry_in=30)


def _explain_gated(name: str) -> str:
    return (
        f"{name} requires that you accept its conditions: do so on its page at huggingface.co "
        "and set HF_TOKEN to your token, or set PYANNOTE_MODEL to a folder that contains a "
        "pipeline."
    )
