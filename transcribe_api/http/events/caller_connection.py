"""A caller who keeps a connection open until a job is over: is it still there?"""

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
    """Nobody will read the answer."""

    code = "caller_gone"


def build_caller_check(job_id: str) -> AccessCheck:
    """For the caller of the present request: says whether it may be told more.

    As long as it is asked, the job counts as awaited. Raises `CallerGone` once the caller has
    closed the connection.
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
    """Says whether the present request's connection is open, where the server lets us know."""
    connection: socket.socket | None = request.environ.get("gunicorn.socket")
    # What came over TLS cannot be looked at without being taken.
    if connection is None or isinstance(connection, ssl.SSLSocket):
        return lambda: True
    return lambda: _is_open(connection)


def _is_open(connection: socket.socket) -> bool:
    """A connection of which the other side has closed its end can be read, and gives nothing."""
    try:
        readable, _, _ = select.select([connection], [], [], 0)
        return not readable or bool(connection.recv(1, socket.MSG_PEEK))
    except (OSError, ValueError):
        return False
