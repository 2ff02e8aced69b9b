"""Files that a service keeps: in scratch and in its storage."""

from __future__ import annotations

from pathlib import Path

from core.settings import settings
from core.storage import storage


def list_scratch_files() -> list[Path]:
    """List what lies in the scratch directory."""
    return list(settings().scratch_dir.glob("*"))


def list_job_objects() -> list[str]:
    """List the keys of all objects of jobs."""
    return storage().list_keys("jobs/")
