"""The token that a service leaves in its data directory for the programs of its own account."""

from __future__ import annotations

import ipaddress
import os
from pathlib import Path
from urllib.parse import urlsplit


def read_token(url: str) -> str | None:
    """What opens the service at *url* without a key: if it is on this machine, and keeps its data
    where ``TRANSCRIBE_DATA_DIR`` says, or in the usual place.
    """
    if not is_local_url(url):
        return None
    try:
        return (_data_dir() / "token").read_text().strip() or None
    except (OSError, UnicodeDecodeError):
        return None


def is_local_url(url: str) -> bool:
    """Whether an address leads to this machine, and never to another."""
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
