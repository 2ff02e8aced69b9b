"""A pipeline of pyannote with real weights: segmentation-3.0, and CAM++ for the voices."""

from __future__ import annotations

import shutil
from pathlib import Path

from tests.engines.tiny_pipeline import save_model, save_plda, write_config
from tests.models import campplus


def build(folder: Path, model_dir: Path) -> Path:
    """Write the pipeline's folder, out of models as they were pulled."""
    (folder / "segmentation").mkdir(parents=True)
    shutil.copy(model_dir / "segmentation-3.0" / "pytorch_model.bin", folder / "segmentation")
    voices = campplus.load(model_dir / "campplus-zh-en" / "campplus_cn_en_common.pt")
    save_model(voices, folder / "embedding" / "pytorch_model.bin")
    save_plda(folder / "plda", campplus.SIZE)
    clustering = {"method": "centroid", "min_cluster_size": 12, "threshold": 0.7}
    # It names who speaks, alone or together: no threshold is needed for that.
    write_config(folder, {"min_duration_off": 0.0}, clustering)
    return folder
