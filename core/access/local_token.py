"""Token with which local programs authenticate instead of a key.

It is in the data directory, readable only by its owner: anybody who can read it could also open the
database next to it.
"""

from __future__ import annotations

import hmac
import os
import secrets
from contextlib import suppress
from pathlib import Path

from core.filesystem import private_files
from core.settings import settings

NAME = "token"


def ensure_token() -> None:
    """Create a token in the data directory, unless the disk is full.

    A token that others can read, or an empty one, is replaced.
    """
    path = _token_path()
    with suppress(FileNotFoundError):
        if private_files.is_open_to_others(path) or path.is_symlink() or not path.stat().st_size:
            path.unlink()
    # In the form of a key, so that logs mask it too.
    token = f"tk_{secrets.token_hex(5)}_{secrets.token_urlsafe(32)}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private_files.FILE_MODE)
    except OSError:  # it exists; or the disk fails, which others will report
        return
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(token)
    except OSError:  # the disk is full, which others will report
        path.unlink()


def read_token(data_dir: Path | None = None) -> str | None:
    """Return the token of the service with this data directory, if it is readable.

    None as *data_dir* means the directory of the settings.
    """
    try:
        return _token_path(data_dir).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def is_token(text: str) -> bool:
    """Return whether this is the token of the service."""
    token = read_token()
    return token is not None and hmac.compare_digest(token.encode(), text.encode())


def _token_path(data_dir: Path | None = None) -> Path:
    return (data_dir or settings().transcribe_data_dir) / NAME
