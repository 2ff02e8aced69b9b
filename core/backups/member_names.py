"""How the members of an archive may be called: as in a data directory, and not otherwise."""

from __future__ import annotations

import re

from core.storage import layout

#: The database of SQLite.
RECORDS = "transcribe.db"
#: The folder of the objects.
OBJECTS = "objects"

_UUID = "[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}"
#: Neither `..` nor anything hidden can be a part of it.
_OBJECT_PATTERN = re.compile(
    rf"{OBJECTS}/{layout.JOBS_PREFIX}{_UUID}(/[A-Za-z0-9_][A-Za-z0-9_.-]*){{1,3}}"
)


def is_allowed(name: str) -> bool:
    """Whether a file of this name is part of a backup."""
    return name == RECORDS or _OBJECT_PATTERN.fullmatch(name) is not None
