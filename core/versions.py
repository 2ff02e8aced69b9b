"""Which versions run here."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

#: What a report of a problem should name beside us.
_LIBRARIES = ("celery", "flask", "sqlalchemy", "redis", "av")


@cache
def service_version() -> str:
    """The version of this service; 0 in a checkout that is not installed."""
    return _find_version("chordscribe") or "0"


@cache
def collect_versions() -> dict[str, str]:
    """This service, Python, and the libraries that matter most."""
    versions = {name: _find_version(name) for name in _LIBRARIES}
    libraries = {name: version for name, version in versions.items() if version}
    return {"chordscribe": service_version(), "python": platform.python_version(), **libraries}


def _find_version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
