"""Flower beside the embedded stack: where it answers, and who may look."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path

from core.access import secrets
from core.settings import settings

#: It can end workers, so it answers this machine alone.
HOST = "127.0.0.1"

_USER = "transcribe"


def build_url(port: int) -> str:
    return f"http://{HOST}:{port}"


def build_command(port: int) -> tuple[str, ...]:
    """How it is started."""
    # Beside Celery's settings; Flower itself only looks into the working directory.
    import celeryconfig

    config_path = Path(celeryconfig.__file__).with_name("flowerconfig.py")
    return (
        *(sys.executable, "-m", "celery", "-A", "tasks", "flower"),
        *(f"--conf={config_path}", f"--address={HOST}", f"--port={port}"),
    )


def build_environment() -> Mapping[str, str]:
    """What it is told besides: a command line could be read by everybody on this machine."""
    return {"FLOWER_BASIC_AUTH": credentials()}


def credentials() -> str:
    """``user:password``, as it was set, or as this installation has made up for itself."""
    return settings().flower_basic_auth or f"{_USER}:{secrets.get_secret('flower')}"
