"""Commands of `transcribe`, run as processes of their own."""

from __future__ import annotations

import subprocess
from pathlib import Path

from tests.integration.conftest import TRANSCRIBE, clean_environment


def run_transcribe(*words: str | Path, **settings: str) -> subprocess.CompletedProcess[str]:
    """Run a command with these words and settings, whatever comes of it."""
    return subprocess.run(
        [TRANSCRIBE, *words],
        env=clean_environment(**settings), capture_output=True, text=True, check=False, timeout=120,
    )  # fmt: skip


def create_key_on_disk(data_dir: Path, *options: str) -> str:
    """Create a key for a service with this data directory; return its text."""
    done = run_transcribe("keys", "create", "test", "--data-dir", data_dir, *options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()
