"""Check whether a caller that waits for a job is still connected."""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable

from flask import request

from core.errors import TranscribeError
from core.live import waiting_callers
from transcribe_api.http.auth import access_recheck
from transcribe_api.http.auth.access_recheck import AccessCheck


class CallerGone(TranscribeError):
    """The caller has closed the connection."""

    code = "caller_gone"


def build_caller_check(job_id: str) -> AccessCheck:
    """Return the check whether the current request's caller may receive more.

    Each call renews the job's mark as awaited. It raises `CallerGone` once the caller has closed
    the connection.
    """
    has_access = access_recheck.build_access_check()
    is_connected = _build_connection_check()
    waiter = waiting_callers.WaitingCaller(job_id)

    def check_access() -> bool:
        if not is_connected():
            raise CallerGone("the caller closed the connection")
        waiter.renew()
        return has_access()

    return check_access


def _build_connection_check() -> Callable[[], bool]:
    """Return a check whether the request's connection is open; always true if unknown."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    # On TLS connections, data cannot be peeked at without consuming them.
    if connection is None or isinstance(connection, ssl.SSLSocket):
        return lambda: True
    return lambda: _is_open(connection)


def _is_open(connection: socket.socket) -> bool:
    """Return whether the peer is connected; a closed connection is readable but empty."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return not readable or bool(connection.recv(1, socket.MSG_PEEK))
    except (OSError, ValueError):
        return False
