"""pyannote.audio: a neural diarizer that knows voices again and hears two who speak at once."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

# It would tell its makers how long our recordings are and how many speak in them.
os.environ["PYANNOTE_METRICS_ENABLED"] = "0"

import huggingface_hub.constants
import numpy as np
import torch
from huggingface_hub.errors import HfHubHTTPError, LocalEntryNotFoundError

from core.errors import EngineError, Transient
from core.settings import settings
from engines import devices, wav
from engines.base import SpeakerHints
from engines.library_warnings import ignore_library_warnings
from engines.shelf import pipeline_folder
from engines.sound import Sound, read
from transcripts.types import Turn, Voices

with ignore_library_warnings():
    from pyannote.audio import Pipeline

#: Samples of the shortest sound that can be looked at.
_LEAST = wav.RATE // 10


class Pyannote:
    """Finds who speaks when with a pipeline of pyannote.audio 4.

    It is the one that ``PYANNOTE_MODEL`` names. Memory grows with the recording, so it is given
    shards. Turns overlap where two speak at once. Speakers are numbered as they first speak.
    """

    def __init__(self, device: str | None = None) -> None:
        """*device*: as ``PYANNOTE_DEVICE``, which it stands instead of."""
        self._device = devices.choose(device or settings().pyannote_device, "PYANNOTE_DEVICE")
        with ignore_library_warnings():
            self._pipeline = _load(settings().pyannote_model).to(self._device)
        size = settings().pyannote_batch_size
        self._pipeline.segmentation_batch_size = size
        self._pipeline.embedding_batch_size = size

    def diarize(self, audio: Path, hints: SpeakerHints) -> Voices:
        """Find the turns; of fewer than ``min_speakers`` only where there is too little speech.

        Half as much is looked at at once when memory runs out.
        """
        sound = read(audio)
        if len(sound) < _LEAST:
            return Voices(())
        while True:
            try:
                with ignore_library_warnings():
                    found = self._pipeline(_in_memory(sound), **_counts(hints))
                return _voices(found)
            except (RuntimeError, MemoryError) as error:
                if not devices.ran_out_of_memory(error):
                    raise
                self._halve(error)

    def _halve(self, error: Exception) -> None:
        devices.free(self._device)
        size = self._pipeline.embedding_batch_size // 2
        if size == 0:
            raise EngineError(
                f"There is not enough memory for pyannote on {self._device}. Run fewer processes, "
                "or set PYANNOTE_DEVICE=cpu."
            ) from error
        self._pipeline.segmentation_batch_size = size
        self._pipeline.embedding_batch_size = size


def _in_memory(sound: Sound) -> dict[str, Any]:
    return {"waveform": torch.from_numpy(sound)[None], "sample_rate": wav.RATE}


def _counts(hints: SpeakerHints) -> Mapping[str, int | None]:
    if hints.min_speakers is not None and hints.min_speakers == hints.max_speakers:
        return {"num_speakers": hints.min_speakers}
    return {"min_speakers": hints.min_speakers, "max_speakers": hints.max_speakers}


def _voices(found: Any) -> Voices:
    """Its labels in the order of their first turns, as numbers."""
    tracks = found.speaker_diarization.itertracks(yield_label=True)
    said = sorted((turn.start, turn.end, label) for turn, _, label in tracks)
    numbers = {label: number for number, label in enumerate(dict.fromkeys(at[2] for at in said))}
    labels = found.speaker_diarization.labels()
    prints = found.speaker_embeddings
    return Voices(
        tuple(Turn(float(start), float(end), numbers[label]) for start, end, label in said),
        {
            numbers[label]: tuple(float(value) for value in vector)
            for label, vector in zip(labels, () if prints is None else prints, strict=False)
            # One without enough clear speech is all zeros or no numbers at all.
            if np.isfinite(vector).all() and np.any(vector)
        },
    )


def _load(name: str) -> Pipeline:
    if Path(name).is_absolute() or Path(name).exists():
        return _read(Path(name))
    if folder := pipeline_folder(name):
        return _read(folder)
    try:
        return Pipeline.from_pretrained(name, token=settings().hf_token)
    except LocalEntryNotFoundError as error:
        raise _absent(name) from error
    except HfHubHTTPError as error:
        is_refused = getattr(error.response, "status_code", None) in (401, 403)
        raise EngineError(_gated(name) if is_refused else f"{name}: {error}") from error


def _read(folder: Path) -> Pipeline:
    try:
        return Pipeline.from_pretrained(folder)
    except (OSError, ValueError, KeyError) as error:
        raise EngineError(
            f"PYANNOTE_MODEL is {folder}, which is no folder with a config.yaml and the models "
            f"that it names: {error}"
        ) from error


def _absent(name: str) -> EngineError | Transient:
    """Why a pipeline that is not on this machine cannot be loaded."""
    if settings().hf_token is None:
        return EngineError(
            f"{name} is not on this machine, and HF_TOKEN is not set. {_gated(name)}"
        )
    if huggingface_hub.constants.HF_HUB_OFFLINE:
        return EngineError(
            f"{name} is not on this machine, and HF_HUB_OFFLINE is set. Set PYANNOTE_MODEL to a "
            "folder that holds a pipeline."
        )
    return Transient(f"{name} is not on this machine, and the hub cannot be reached.", retry_in=30)


def _gated(name: str) -> str:
    return (
        f"{name} is given only to those who accept its conditions: do so on its page at "
        "huggingface.co and set HF_TOKEN to a token of yours, or set PYANNOTE_MODEL to a folder "
        "that holds a pipeline."
    )
