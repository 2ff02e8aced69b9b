"""Default folders, and resolution of configured ones."""

from __future__ import annotations

import os
import sys
from pathlib import Path


def default_data_dir() -> Path:
    """Return the data directory of this user, by the XDG specification."""
    home = os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share"
    return Path(home) / "transcribe"


def default_model_dir() -> Path:
    """Return a folder in the virtual environment, so that all its processes share downloads."""
    environment_dir = Path(sys.prefix) / "share" / "chordscribe" / "models"
    is_virtual = sys.prefix != sys.base_prefix
    if is_virtual and (environment_dir.is_dir() or os.access(sys.prefix, os.W_OK)):
        return environment_dir
    # Not the data directory of this process: every temporary stack would download its own models.
    return default_data_dir() / "models"


def resolve_folder(path: Path) -> Path:
    """Return the absolute path without links and ``~``; raise `ValueError` for invalid ones."""
    try:
        return path.expanduser().resolve()
    except (OSError, RuntimeError) as error:  # circular links, or an unknown home
        raise ValueError(f"must be the path of a folder; {error}") from None
