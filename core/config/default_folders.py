"""Where things lie: as a setting says, or when none does."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_data_dir() -> Path:
    """As the XDG specification has it, of this user alone."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "transcribe"


def default_model_dir() -> Path:
    """In the virtual environment, so that all its processes find what was fetched for it."""
    environment_dir = Path(sys.prefix) / "share" / "chordscribe" / "models"
    is_virtual = sys.prefix != sys.base_prefix
    if is_virtual and (environment_dir.is_dir() or os.access(sys.prefix, os.W_OK)):
        return environment_dir
    # Not the data directory of this process: every scratch stack would have models of its own.
    return default_data_dir() / "models"


def resolve_folder(path: Path) -> Path:
    """The absolute path without links and ``~``. Raises `ValueError` that says what is allowed."""
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # links in a circle, or nobody's home
        raise ValueError(f"allowed is the path of a folder; {error}") from None
