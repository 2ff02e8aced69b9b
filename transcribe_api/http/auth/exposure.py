"""Decide whether a request needs a key: it does if other machines may have sent it."""

from __future__ import annotations

import socket
from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import inspect
from sqlalchemy.orm import Session

from core.access import keys
from core.config import web_origins
from core.db.models import ApiKeyRow
from core.db.transactions import read_session
from core.errors import SettingsError, Unavailable
from core.filesystem import private_files
from core.settings import settings
from transcribe_api.http.gate import proxies
from transcribe_api.http.gate.ip_addresses import is_loopback

#: Known answers to whether a key was ever created, by database.
_has_key_by_database: dict[str, bool] = {}


def is_key_required(environ: Mapping[str, Any]) -> bool:
    """Return whether this request needs a key; in doubt it does.

    Raises `Unavailable` if this depends on the database and it does not answer.
    """
    if settings().auth != "auto":
        return settings().auth == "on"
    # A local proxy may not identify itself, so keys are required as soon as one was created.
    return not _is_for_this_machine(environ) or _was_key_made()


def is_sent_from_this_machine(environ: Mapping[str, Any]) -> bool:
    """Return whether a program on this machine sent the request, judging by the connection."""
    if proxies.is_forwarded(environ):
        return False
    address = environ.get("REMOTE_ADDR") or ""
    return _is_unix_socket(environ) or is_loopback(address) or address == _find_own_address(environ)


def refuse_unguarded(addresses: Iterable[Any]) -> None:
    """Raise `SettingsError` if others can reach one of these addresses and there is no key.

    *addresses*: as sockets return their own: a pair that begins with a host, or a path.
    """
    reachable = [address for address in addresses if not _is_local(address)]
    if settings().auth != "auto" or not reachable or _has_active_key():
        return
    where = ", ".join(f"{host}:{port}" for host, port, *_ in reachable)
    raise SettingsError(
        f"other machines can reach the service on {where}, and there is no key yet. Create one "
        "with 'transcribe keys create NAME', or set AUTH=off to allow access without a key"
    )


def _was_key_made() -> bool:
    """Return whether there ever was a key; the service must not open when the last one expires."""
    database = settings().database
    if not _has_key_by_database.get(database):
        try:
            _has_key_by_database[database] = _has_any_key()
        except Unavailable:
            if database not in _has_key_by_database:
                raise
    return _has_key_by_database[database]


def _has_any_key() -> bool:
    with read_session() as session:
        # After the first answer, the table is known to exist.
        if settings().database not in _has_key_by_database and not _has_table(session):
            return False
        return keys.has_any_key(session)


def _has_active_key() -> bool:
    private_files.make_data_dir(settings().transcribe_data_dir)
    with read_session() as session:
        return _has_table(session) and keys.has_active_key(session)


def _has_table(session: Session) -> bool:
    return bool(inspect(session.connection()).has_table(ApiKeyRow.__tablename__))


def _is_for_this_machine(environ: Mapping[str, Any]) -> bool:
    is_loopback_host = is_loopback(_parse_requested_host(environ))
    return _is_bound_to_loopback(environ) and is_loopback_host and not proxies.is_forwarded(environ)


def _is_bound_to_loopback(environ: Mapping[str, Any]) -> bool:
    # Servers put their listening address here; 0.0.0.0 is not only this machine.
    return _is_unix_socket(environ) or is_loopback(environ.get("SERVER_NAME", ""))


def _is_unix_socket(environ: Mapping[str, Any]) -> bool:
    connection = environ.get("gunicorn.socket")
    return getattr(connection, "family", None) == socket.AF_UNIX


def _find_own_address(environ: Mapping[str, Any]) -> str | None:
    """Return the local address of the connection."""
    connection = environ.get("gunicorn.socket")
    return str(connection.getsockname()[0]) if connection is not None else None


def _parse_requested_host(environ: Mapping[str, Any]) -> str:
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return web_origins.parse_host(host) or ""


def _is_local(address: Any) -> bool:
    return isinstance(address, str | bytes) or is_loopback(address[0])
