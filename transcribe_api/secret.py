"""The key that signs links, made once for a data directory."""

from __future__ import annotations

import os
import secrets

from core.settings import settings


def key() -> str:
    """The same in every process of an installation."""
    path = settings().transcribe_data_dir / "secret.key"
    try:
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        return path.read_text()
    with os.fdopen(descriptor, "w") as file:
        made = secrets.token_urlsafe(32)
        file.write(made)
    return made
