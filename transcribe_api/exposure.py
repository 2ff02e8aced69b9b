"""Whether others than the people of this machine can reach the service, and so need keys."""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Iterable, Mapping
from typing import Any
from urllib.parse import urlsplit

from sqlalchemy import inspect

from core import keys
from core.db import reading
from core.errors import SettingsError
from core.models import ApiKeyRow
from core.settings import settings

#: What proxies say of the request that they pass on.
_PASSED_ON = ("HTTP_FORWARDED", "HTTP_X_FORWARDED_FOR", "HTTP_X_REAL_IP")


def keys_are_asked_for(environ: Mapping[str, Any]) -> bool:
    """Whether this request needs a key. What cannot be told for sure needs one."""
    if settings().auth != "auto":
        return settings().auth == "on"
    # A page of another site can make a browser ask us under that site's name.
    was_meant = _is_this_machine(_asked_host(environ))
    passed_on = any(header in environ for header in _PASSED_ON)
    return not (_listens_here(environ) and was_meant) or passed_on


def refuse_unguarded(addresses: Iterable[Any]) -> None:
    """Raises `SettingsError` when others can reach one of these addresses and there is no key.

    *addresses*: as sockets name their own: a pair that begins with a host, or a path.
    """
    reachable = [one for one in addresses if not _is_local(one)]
    if settings().auth != "auto" or not reachable or _has_key():
        return
    where = ", ".join(f"{host}:{port}" for host, port, *_ in reachable)
    raise SettingsError(
        f"others can reach the service on {where}, and there is no key yet. Make one with "
        "'transcribe keys create NAME', or set AUTH=off to let everybody in"
    )


def _has_key() -> bool:
    settings().transcribe_data_dir.mkdir(parents=True, exist_ok=True)
    with reading() as session:
        is_there = inspect(session.connection()).has_table(ApiKeyRow.__tablename__)
        return is_there and keys.any_active(session)


def _listens_here(environ: Mapping[str, Any]) -> bool:
    connection = environ.get("gunicorn.socket")
    if getattr(connection, "family", None) == socket.AF_UNIX:
        return True
    # Servers tell here what they listen on; 0.0.0.0 is no name of this machine alone.
    return _is_this_machine(environ.get("SERVER_NAME", ""))


def _asked_host(environ: Mapping[str, Any]) -> str:
    asked = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    try:
        return urlsplit(f"//{asked}").hostname or ""
    except ValueError:
        return ""


def _is_local(address: Any) -> bool:
    return isinstance(address, str | bytes) or _is_this_machine(address[0])


def _is_this_machine(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:  # other names are not looked up: they may come to mean something else
        return False
