"""Read a request body with a minimum rate, since a slow sender occupies a thread."""

from __future__ import annotations

import socket
import time

from gunicorn.http.unreader import SocketUnreader

from core.errors import RequestTimeout
from core.settings import settings

#: Bytes per second at which a body must arrive, on average, after its first `body_seconds`.
MIN_BYTES_PER_SECOND = 2048


class PacedUnreader(SocketUnreader):
    """Reads a connection; raises `RequestTimeout` if a body stalls or is too slow.

    Only time spent waiting for the sender counts, not the time of the service in between.
    """

    def __init__(self, connection: socket.socket) -> None:
        super().__init__(connection)
        self._waited = 0.0
        self._received = 0

    def begin_request(self, head: bytes) -> None:
        """Reset the counters for a request whose *head*, and perhaps more, was read already."""
        self._waited, self._received = 0.0, 0
        self.unread(head)

    def chunk(self, size_hint: int | None = None) -> bytes:
        if self.sock.gettimeout() is not None:  # another timeout applies
            return bytes(super().chunk(size_hint))
        started = time.monotonic()
        self.sock.settimeout(self._compute_timeout())
        try:
            block = bytes(super().chunk(size_hint))
        except TimeoutError:
            raise RequestTimeout("the body did not arrive in time") from None
        finally:
            self.sock.settimeout(None)
        self._waited += time.monotonic() - started
        self._received += len(block)
        return block

    def _compute_timeout(self) -> float:
        """Return the seconds to wait for the next bytes."""
        base_seconds = settings().body_seconds
        remaining = base_seconds + self._received / MIN_BYTES_PER_SECOND - self._waited
        return max(min(base_seconds, remaining), 0.001)
