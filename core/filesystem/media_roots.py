"""Paths of this machine that callers may use: only in the folders of MEDIA_ROOTS."""

from __future__ import annotations

from pathlib import Path

from core.errors import InvalidInput
from core.settings import settings


def resolve_path(text: str, field: str) -> Path:
    """Return the real path, with all links resolved. Raises `InvalidInput`.

    A path outside is refused with the same message whether it exists or not.
    """
    roots = settings().media_roots
    if not roots:
        raise _refusal(
            field, "this service allows no folders; its operator can allow some with MEDIA_ROOTS"
        )
    try:
        path = Path(text)
        resolved = path.resolve()
    except (OSError, ValueError, RuntimeError):  # too long, a null byte, circular links
        raise _refusal(field, "not a valid path") from None
    if not path.is_absolute() or not any(resolved.is_relative_to(root) for root in roots):
        raise _refusal(field, "must be an absolute path in a folder of MEDIA_ROOTS")
    return resolved


def _refusal(field: str, reason: str) -> InvalidInput:
    return InvalidInput(f"{field}: {reason}", field=field, code="path_refused")
