"""A machine without FFmpeg's shared libraries: torchcodec cannot be loaded, and nobody misses it.

Empty files of their names come first where the loader looks, so that loading any of them fails as
it does on a machine that has none; no package is removed for that. PyAV brings libraries of its
own, under other names.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.engines import tiny

pytestmark = [
    tiny.needs("pyannote.audio", "pyannote"),
    tiny.needs("whisperx", "whisperx"),
    pytest.mark.skipif(sys.platform != "linux", reason="LD_LIBRARY_PATH is known to Linux only"),
]

ROOT = Path(__file__).resolve().parents[2]
LIBRARIES = ("avutil", "avcodec", "avformat", "avdevice", "avfilter", "swscale", "swresample")
#: Versions of FFmpeg's libraries, of all releases that a package may ask for.
VERSIONS = range(100)


@pytest.fixture(scope="module")
def environment(tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """That of a process which cannot load any of the libraries."""
    folder = tmp_path_factory.mktemp("libraries")
    for name in LIBRARIES:
        for version in VERSIONS:
            (folder / f"lib{name}.so.{version}").touch()
    return {**os.environ, "LD_LIBRARY_PATH": str(folder), "OMP_NUM_THREADS": "1"}


def run(environment: dict[str, str], *command: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *map(str, command)],
        env=environment, cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip


@pytest.mark.skipif(not tiny.is_installed("torchcodec"), reason="torchcodec is not installed")
def test_torchcodec_cannot_be_loaded_there(environment: dict[str, str]):
    """Else the other tests would show nothing."""
    done = run(environment, "-c", "import torchcodec")
    assert done.returncode != 0
    assert "Could not load libtorchcodec" in done.stderr


@pytest.mark.parametrize(
    "module", ["engines.pyannote", "engines.whisperx", "tests.engines.tiny_pipeline"]
)
def test_nothing_is_said_when_an_engine_is_imported(environment: dict[str, str], module: str):
    """By itself and first: a warning is shown once only."""
    done = run(environment, "-W", "error", "-c", f"import {module}")
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.parametrize(
    "test",
    [
        "test_pyannote.py::test_every_digit_has_its_speaker",
        "test_whisperx.py::test_every_word_of_a_minute_is_heard_at_its_time",
    ],
)
def test_engines_work_as_elsewhere(environment: dict[str, str], test: str):
    done = run(environment, "-m", "pytest", "-q", "-p", "no:cacheprovider", f"tests/engines/{test}")
    assert done.returncode == 0, done.stdout
    assert "1 passed" in done.stdout
