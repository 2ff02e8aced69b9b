"""What the command line of this machine shows instead of a key.

It lies in the data directory, readable for its owner alone: whoever can read it could as well open
the database beside it.
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
    """Have a token in the data directory, if there is room for one. One that others could read is
    replaced, and one that was never written.
    """
    path = _token_path()
    with suppress(FileNotFoundError):
        if private_files.is_open_to_others(path) or path.is_symlink() or not path.stat().st_size:
            path.unlink()
    # In the form of a key, so that logs hide it too.
    token = f"tk_{secrets.token_hex(5)}_{secrets.token_urlsafe(32)}"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, private_files.FILE_MODE)
    except OSError:  # it is there already; or nothing can be written, and the rest will tell
        return
    try:
        with os.fdopen(descriptor, "w") as stream:
            stream.write(token)
    except OSError:  # the disk is full, which the rest will tell
        path.unlink()


def read_token(data_dir: Path | None = None) -> str | None:
    """The token of the service with this data directory, or with that of the settings, if we may
    read it.
    """
    try:
        return _token_path(data_dir).read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def is_token(text: str) -> bool:
    """Whether this is the token of the service."""
    token = read_token()
    return token is not None and hmac.compare_digest(token.encode(), text.encode())


def _token_path(data_dir: Path | None = None) -> Path:
    return (data_dir or settings().transcribe_data_dir) / NAME
