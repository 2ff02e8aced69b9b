"""Whether a request needs a key: others than the people of this machine may have sent it."""

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

#: By database: whether a key was ever made, as far as it is known.
_has_key_by_database: dict[str, bool] = {}


def is_key_required(environ: Mapping[str, Any]) -> bool:
    """Whether this request needs a key. What cannot be told for sure needs one.

    Raises `Unavailable` when the records have to tell, and do not answer.
    """
    if settings().auth != "auto":
        return settings().auth == "on"
    # A proxy on this machine need not say that it is one, so whoever has keys wants them asked for.
    return not _is_for_this_machine(environ) or _was_key_made()


def is_sent_from_this_machine(environ: Mapping[str, Any]) -> bool:
    """Whether a program of this machine sent the request, as far as the connection tells."""
    if proxies.is_forwarded(environ):
        return False
    address = environ.get("REMOTE_ADDR") or ""
    return _is_unix_socket(environ) or is_loopback(address) or address == _find_own_address(environ)


def refuse_unguarded(addresses: Iterable[Any]) -> None:
    """Raises `SettingsError` when others can reach one of these addresses and there is no key.

    *addresses*: as sockets name their own: a pair that begins with a host, or a path.
    """
    reachable = [address for address in addresses if not _is_local(address)]
    if settings().auth != "auto" or not reachable or _has_active_key():
        return
    where = ", ".join(f"{host}:{port}" for host, port, *_ in reachable)
    raise SettingsError(
        f"others can reach the service on {where}, and there is no key yet. Make one with "
        "'transcribe keys create NAME', or set AUTH=off to let everybody in"
    )


def _was_key_made() -> bool:
    """Whether there ever was a key. An expired one must not open the service to everybody."""
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
        # Once there is an answer, the table is known to be there.
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
    # Servers tell here what they listen on; 0.0.0.0 is no name of this machine alone.
    return _is_unix_socket(environ) or is_loopback(environ.get("SERVER_NAME", ""))


def _is_unix_socket(environ: Mapping[str, Any]) -> bool:
    connection = environ.get("gunicorn.socket")
    return getattr(connection, "family", None) == socket.AF_UNIX


def _find_own_address(environ: Mapping[str, Any]) -> str | None:
    """The address at which the connection reached us."""
    connection = environ.get("gunicorn.socket")
    return str(connection.getsockname()[0]) if connection is not None else None


def _parse_requested_host(environ: Mapping[str, Any]) -> str:
    host = environ.get("HTTP_HOST") or environ.get("SERVER_NAME", "")
    return web_origins.parse_host(host) or ""


def _is_local(address: Any) -> bool:
    return isinstance(address, str | bytes) or is_loopback(address[0])
