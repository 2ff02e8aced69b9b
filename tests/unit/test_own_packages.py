"""Another program's package with the name of one of ours is told, before anything fails by it."""

from __future__ import annotations

import base64
import hashlib
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

import chordscribe

ROOT = Path(chordscribe.__file__).parent


def run(program: str, *path: Path) -> subprocess.CompletedProcess[str]:
    """Run a program that looks for packages in these folders first."""
    folders = [str(folder) for folder in path]
    return subprocess.run(
        [sys.executable, "-I", "-c", f"import sys; sys.path[:0] = {folders}; {program}"],
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip


@pytest.fixture
def hiding(tmp_path: Path) -> Path:
    """A folder with a package `core` of somebody else."""
    (tmp_path / "core").mkdir()
    (tmp_path / "core" / "__init__.py").write_text("THEIRS = True\n")
    return tmp_path


def test_the_packages_of_this_checkout_are_ours():
    chordscribe.require_own_packages()


def test_the_command_tells_of_a_package_that_hides_ours(hiding: Path):
    done = run("import chordscribe; chordscribe.main()", hiding, ROOT)
    assert done.returncode == 3
    assert "Traceback" not in done.stderr
    assert f"a package 'core' of another program at {hiding}" in done.stderr
    assert "a separate virtual environment" in done.stderr


def test_celery_tells_of_a_package_that_hides_ours(hiding: Path):
    celery = "sys.argv[1:] = ['-A', 'tasks', 'report']; from celery.__main__ import main; main()"
    done = run(celery, hiding, ROOT)
    assert done.returncode != 0
    assert "a package 'core' of another program" in done.stderr


def test_a_package_that_was_overwritten_is_told(tmp_path: Path):
    install(tmp_path)
    assert run("import transcribe_api", tmp_path).returncode == 0
    (tmp_path / "core" / "__init__.py").write_text("THEIRS = True\n")
    done = run("import transcribe_api", tmp_path)
    assert "has overwritten Chordscribe's package 'core'" in done.stderr


def install(site: Path) -> None:
    """The first file of each package, and what pip writes down of it."""
    information = site / "chordscribe-1.dist-info"
    information.mkdir()
    (information / "METADATA").write_text("Metadata-Version: 2.4\nName: chordscribe\nVersion: 1\n")
    names = ["chordscribe.py", *(f"{name}/__init__.py" for name in chordscribe.PACKAGES)]
    with (information / "RECORD").open("w") as record:
        for name in names:
            file = site / name
            file.parent.mkdir(exist_ok=True)
            shutil.copy(ROOT / name, file)
            digest = base64.urlsafe_b64encode(hashlib.sha256(file.read_bytes()).digest())
            record.write(f"{name},sha256={digest.decode().rstrip('=')},{file.stat().st_size}\n")
