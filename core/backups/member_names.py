"""Allowed names of archive members, which are those of a data directory."""

from __future__ import annotations

import re

from core.storage import layout

#: The SQLite database.
RECORDS = "transcribe.db"
#: The folder of the objects.
OBJECTS = "objects"

_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: Excludes `..` and hidden names.
_OBJECT_PATTERN = re.compile(
    rf"{OBJECTS}/{layout.JOBS_PREFIX}{_UUID}(/[A-Za-z0-9_][A-Za-z0-9_.-]*){{1,3}}"
)


def is_allowed(name: str) -> bool:
    """Return whether a file of this name can be part of a backup."""
    return name == RECORDS or _OBJECT_PATTERN.fullmatch(name) is not None
