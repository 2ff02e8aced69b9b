"""Connections before their requests: headers, deadlines, and limits per address."""

from __future__ import annotations

import ipaddress
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from gunicorn.http.body import LengthReader
from gunicorn.workers.gthread import TConn

from core.settings import settings
from transcribe_api.http.gate import proxies
from transcribe_api.http.gate.ip_addresses import is_loopback, parse_address
from transcribe_api.http.gate.paced_reading import PacedUnreader

#: Maximum bytes of a header.
MAX_HEAD_BYTES = 64 * 1024
#: Maximum bytes of the first header line, which gunicorn limits too.
_MAX_LINE_BYTES = 8 * 1024
#: Milliseconds for which sent data may stay unacknowledged before the kernel closes the connection.
_SEND_TIMEOUT_MILLISECONDS = 120_000
#: IPv6 networks are assigned in this size; one sender has all addresses of such a network.
_IPV6_PREFIX_LENGTH = 64

#: Blocks that are discarded unread before a refusal.
_MAX_DRAINED_BLOCKS = 16

_END_OF_HEAD = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/\d\.\d\r?\n")


class Connection(TConn):
    """A connection whose header is read without a waiting thread."""

    def __init__(self, *args: Any, on_close: Callable[[Connection], None]) -> None:
        super().__init__(*args)
        self.head = bytearray()
        self.deadline = 0.0
        self._on_close = on_close
        self._is_closed = False
        self._discarded = 0
        self._is_read_by_us = False
        with suppress(OSError, AttributeError):  # a Unix socket, or not Linux
            self.sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SEND_TIMEOUT_MILLISECONDS
            )

    @property
    def address(self) -> str:
        """Return the peer's address; empty for a Unix socket."""
        return self.client[0] if isinstance(self.client, tuple) else ""

    def expect_head(self, beginning: bytes = b"") -> None:
        """Start to wait for the next request."""
        self.head = bytearray(beginning.lstrip(b"\r\n"))
        self.deadline = time.monotonic() + settings().header_seconds
        self._is_read_by_us = True
        self.data_ready = True  # for gunicorn: no thread must wait

    def read_head(self) -> bool:
        """Read what has arrived; return whether a thread can continue.

        Raises `OSError`, including when the peer has disconnected.
        """
        try:
            block = self.sock.recv(MAX_HEAD_BYTES)
        except BlockingIOError:
            return False
        if not block:
            raise ConnectionResetError
        searched = max(len(self.head) - len(_END_OF_HEAD), 0)
        # Empty lines before a request are ignored, and are no header.
        self.head += block if self.head else block.lstrip(b"\r\n")
        return self.has_head(searched)

    def has_head(self, searched: int = 0) -> bool:
        """Return whether the header is complete, or begins so that it is refused anyway.

        *searched*: bytes at the beginning that are known to contain no end.
        """
        if _END_OF_HEAD in self.head[searched:]:
            return True
        line_end = self.head.find(b"\n", 0, _MAX_LINE_BYTES)
        if line_end < 0:
            return len(self.head) >= _MAX_LINE_BYTES
        return line_end > 1 and not _REQUEST_LINE.match(self.head)

    @property
    def is_head_too_long(self) -> bool:
        """Return whether the header is incomplete at the maximum length."""
        return len(self.head) > MAX_HEAD_BYTES

    def init(self) -> None:
        """Initialize in the thread that continues, with the bytes read so far."""
        super().init()
        if self._is_read_by_us:
            if not isinstance(self.parser.unreader, PacedUnreader):
                self.parser.unreader = PacedUnreader(self.sock)
            self.parser.unreader.begin_request(bytes(self.head))
            self.head = bytearray()

    @property
    def has_unread_body(self) -> bool:
        """Return whether the client may still be sending a body that nobody has read."""
        body = getattr(self.parser and self.parser.mesg, "body", None)
        if body is None:  # not a request
            return False
        return not isinstance(body.reader, LengthReader) or body.reader.length > 0

    def discard_some(self) -> bool:
        """Discard what has arrived; return whether more may follow within the limit."""
        try:
            block = self.sock.recv(MAX_HEAD_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._discarded += len(block)
        return bool(block) and self._discarded < _MAX_DRAINED_BLOCKS * MAX_HEAD_BYTES

    def drain(self) -> None:
        """Discard what has arrived, without waiting. Raises `OSError`.

        Otherwise the kernel would discard our response when the connection closes.
        """
        self.sock.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(_MAX_DRAINED_BLOCKS):
                if not self.sock.recv(MAX_HEAD_BYTES):
                    return

    def close(self, graceful: bool = False) -> None:
        """Close the connection; safe to call twice."""
        if not self._is_closed:
            self._is_closed = True
            self._on_close(self)
            super().close(graceful)


class AddressCounter:
    """Counts the connections of each address; threads may share it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, address: str) -> bool:
        """Count one more connection; return whether it is within the limit."""
        limit = settings().max_connections_per_address
        with self._lock:
            self._counts[_group_address(address)] += 1
            return (
                not limit or _is_exempt(address) or self._counts[_group_address(address)] <= limit
            )

    def remove(self, address: str) -> None:
        """Count one connection less."""
        with self._lock:
            self._counts[_group_address(address)] -= 1
            if self._counts[_group_address(address)] <= 0:
                del self._counts[_group_address(address)]


def _is_exempt(address: str) -> bool:
    return not address or is_loopback(address) or proxies.is_trusted(address)


def _group_address(address: str) -> str:
    """Return the address, or for IPv6 the network that one sender controls."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX_LENGTH), strict=False))
    return str(parsed or address)
