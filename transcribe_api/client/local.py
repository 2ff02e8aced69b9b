"""The token in the data directory that gives local programs of the same account access."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit


def read_token(url: str) -> str | None:
    """Return the local token for the service at *url*, or None.

    There is one only if the service is on this machine and its data are in ``TRANSCRIBE_DATA_DIR``
    or in the default place.
    """
    if not is_local_url(url):
        return None
    try:
        return (_data_dir() / "token").read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def is_local_url(url: str) -> bool:
    """Return whether an address always leads to this machine."""
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _data_dir() -> Path:
    if data_dir := os.environ.get("TRANSCRIBE_DATA_DIR"):
        return Path(data_dir).expanduser()
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local" / "share") / "transcribe"
