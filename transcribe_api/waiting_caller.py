"""A caller who keeps a connection open until a job is over: is it still there?"""

from __future__ import annotations

import select
import socket
import ssl
from collections.abc import Callable

from flask import request

from core import awaited
from core.errors import TranscribeError
from transcribe_api import staying
from transcribe_api.staying import Welcome


class CallerGone(TranscribeError):
    """Nobody will read the answer."""

    code = "caller_gone"


def waiting_caller(job_id: str) -> Welcome:
    """For the caller of the present request: says whether it may be told more.

    As long as it is asked, the job counts as awaited. Raises `CallerGone` once the caller has
    closed the connection.
    """
    is_welcome = staying.welcome()
    is_connected = _connection()
    waiter = awaited.Waiter(job_id)

    def may_be_told() -> bool:
        if not is_connected():
            raise CallerGone("the caller closed the connection")
        waiter.stay()
        return is_welcome()

    return may_be_told


def _connection() -> Callable[[], bool]:
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
