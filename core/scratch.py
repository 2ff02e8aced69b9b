"""Files that were being written when their process was killed, and that nobody will miss."""

from __future__ import annotations

import shutil
from pathlib import Path

from core import clock
from core.settings import settings

#: Hours after which whoever wrote a file is gone: no upload and no step takes as long.
OLD_HOURS = 24.0


def sweep() -> int:
    """Remove what killed processes left on this machine; returns how much. Safe to run twice."""
    limit = clock.now() - OLD_HOURS * 3600
    folders = (settings().scratch_dir, settings().objects_dir / ".unfinished")
    old = [one for folder in folders for one in folder.glob("*") if _changed_at(one) < limit]
    for one in old:
        shutil.rmtree(one, ignore_errors=True) if one.is_dir() else one.unlink(missing_ok=True)
    return len(old)


def _changed_at(path: Path) -> float:
    try:
        return path.lstat().st_mtime
    except FileNotFoundError:  # its owner was faster
        return clock.now()
