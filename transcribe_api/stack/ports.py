"""Ports to listen on: free ones, and errors about others."""

from __future__ import annotations

import errno
import socket

from transcribe_api.stack.stack_error import StackError

DEFAULT_PORT = 8000
MAX_PORT = 65535


def find_free(host: str) -> int:
    """Return a port that is free now."""
    with socket.socket() as probe:
        probe.bind((host, 0))
        port: int = probe.getsockname()[1]
        return port


def find_obstacle(host: str, port: int, option: str = "--port") -> str | None:
    """Return why nobody can listen there now, with a remedy; None if it is possible.

    *option*: the option that selects another port.
    """
    if not 0 <= port <= MAX_PORT:
        return f"{option} {port}: use 1 to {MAX_PORT}, or 0 for a free port"
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            return f"{host}:{port} cannot be used ({error.strerror}); {_advise(error, option)}"
    return None


def refuse_unusable(host: str, port: int, option: str = "--port") -> None:
    """Raise `StackError` if nobody can listen there now."""
    if obstacle := find_obstacle(host, port, option):
        raise StackError(obstacle)


def _advise(error: OSError, option: str) -> str:
    if isinstance(error, socket.gaierror) or error.errno == errno.EADDRNOTAVAIL:
        return "use --host with an address of this machine, such as 127.0.0.1 or 0.0.0.0"
    if error.errno in (errno.EACCES, errno.EPERM):
        return f"this account can only use ports from 1024: choose one with {option}"
    return f"choose another with {option}"
