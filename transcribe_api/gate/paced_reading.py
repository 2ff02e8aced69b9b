"""Reads the body of a request for as long as it keeps coming: a slow sender holds a thread."""

from __future__ import annotations

import socket
import time

from gunicorn.http.unreader import SocketUnreader

from core.errors import SlowRequest
from core.settings import settings

#: Bytes a second at which a body must arrive, on average, after its first `body_seconds`.
FAIR_RATE = 2048


class PacedUnreader(SocketUnreader):
    """Reads a connection; raises `SlowRequest` when a body stands still or trickles.

    Only what is spent on waiting for the sender counts, and not what the service does in between.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self._waited = 0.0
        self._received = 0

    def begin_request(self, head: bytes) -> None:
        """Count anew, for a request whose *head*, and perhaps more, was read already."""
        self._waited, self._received = 0.0, 0
        self.unread(head)

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self.sock.gettimeout() is not None:  # somebody else limits it
            return bytes(super().chunk(size_hint))
        began = time.monotonic()
        self.sock.settimeout(self._patience())
        try:
            data = bytes(super().chunk(size_hint))
        except TimeoutError:
            raise SlowRequest("the body did not arrive in time") from None
        finally:
            self.sock.settimeout(None)
        self._waited += time.monotonic() - began
        self._received += len(data)
        return data

    def _patience(self) -> float:
        """Seconds for which the next bytes are waited for."""
        still = settings().body_seconds
        left = still + self._received / FAIR_RATE - self._waited
        return max(min(still, left), 0.001)
