"""Which versions run here."""

from __future__ import annotations

import platform
from functools import cache
from importlib import metadata

#: What a report of a problem should name beside us.
_LIBRARIES = ("celery", "flask", "sqlalchemy", "redis", "av")


@cache
def ours() -> str:
    """The version of this service; 0 in a checkout that is not installed."""
    return _of("chordscribe") or "0"


@cache
def all_of_them() -> dict[str, str]:
    """This service, Python, and the libraries that matter most."""
    found = {name: _of(name) for name in _LIBRARIES}
    libraries = {name: version for name, version in found.items() if version}
    return {"chordscribe": ours(), "python": platform.python_version(), **libraries}


def _of(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
