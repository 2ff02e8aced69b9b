"""Versions of the service and its libraries."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

#: Libraries whose versions a bug report should name.
_LIBRARIES = ("celery", "flask", "sqlalchemy", "redis", "av")


@cache
def service_version() -> str:
    """Return the version of the service; "0" in a checkout that is not installed."""
    return _find_version("chordscribe") or "0"


@cache
def collect_versions() -> dict[str, str]:
    """Return the versions of the service, Python, and the most important libraries."""
    versions = {name: _find_version(name) for name in _LIBRARIES}
    libraries = {name: version for name, version in versions.items() if version}
    return {"chordscribe": service_version(), "python": platform.python_version(), **libraries}


def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
