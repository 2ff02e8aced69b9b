"""Paths of this machine that callers may name: only under the folders of MEDIA_ROOTS."""

from __future__ import annotations

from pathlib import Path

from core.errors import InvalidInput
from core.settings import settings


def inside(text: str, field: str) -> Path:
    """The place that a path really leads to, through all links. Raises `InvalidInput`.

    What lies outside is refused in the same words whether or not it is there.
    """
    roots = settings().media_roots
    if not roots:
        raise _refused(field, "this service opens no folder; its operator may, with MEDIA_ROOTS")
    try:
        path = Path(text)
        found = path.resolve()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, links in a circle
        raise _refused(field, "this is no path") from None
    if not path.is_absolute() or not any(found.is_relative_to(root) for root in roots):
        raise _refused(field, "allowed is an absolute path in a folder of MEDIA_ROOTS")
    return found


def _refused(field: str, why: str) -> InvalidInput:
    return InvalidInput(f"{field}: {why}", field=field, code="path_refused")
