"""Connections before they are requests: their headers, their deadlines, and whose they are."""

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

#: Bytes of the longest header.
MAX_HEAD_BYTES = 64 * 1024
#: Of the longest first line of a header, which gunicorn limits too.
_MAX_LINE_BYTES = 8 * 1024
#: Milliseconds for which what was sent may stay untaken, before the kernel ends the connection.
_SEND_TIMEOUT_MILLISECONDS = 120_000
#: IPv6 is given out in networks of this size; one sender has all addresses of one.
_IPV6_PREFIX_LENGTH = 64

#: Times as many bytes that are taken unread before a refusal.
_MAX_DRAINED_BLOCKS = 16

_END_OF_HEAD = b"\r\n\r\n"
_REQUEST_LINE = re.compile(rb"[!-~]+ [!-~]+ HTTP/\d\.\d\r?\n")


class Connection(TConn):
    """A connection whose headers are read while no thread waits for them."""

    def __init__(self, *args: Any, on_close: Callable[[Connection], None]) -> None:
        super().__init__(*args)
        self.head = bytearray()
        self.deadline = 0.0
        self._on_close = on_close
        self._is_closed = False
        self._discarded = 0
        self._is_read_by_us = False
        with suppress(OSError, AttributeError):  # a Unix socket, or another system than Linux
            self.sock.setsockopt(
                socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT, _SEND_TIMEOUT_MILLISECONDS
            )

    @property
    def address(self) -> str:
        """Of whoever connected; empty for a Unix socket."""
        return self.client[0] if isinstance(self.client, tuple) else ""

    def expect_head(self, beginning: bytes = b"") -> None:
        """Wait for the next request from now on."""
        self.head = bytearray(beginning.lstrip(b"\r\n"))
        self.deadline = time.monotonic() + settings().header_seconds
        self._is_read_by_us = True
        self.data_ready = True  # for gunicorn: no thread is to wait

    def read_head(self) -> bool:
        """Take what has arrived; whether a thread can go on with it. Raises `OSError`, also when
        the other side is gone.
        """
        try:
            block = self.sock.recv(MAX_HEAD_BYTES)
        except BlockingIOError:
            return False
        if not block:
            raise ConnectionResetError
        searched = max(len(self.head) - len(_END_OF_HEAD), 0)
        # Empty lines before a request mean nothing, and are no header.
        self.head += block if self.head else block.lstrip(b"\r\n")
        return self.has_head(searched)

    def has_head(self, searched: int = 0) -> bool:
        """Whether the header is complete, or begins so that it is refused anyway.

        *searched*: bytes at its beginning that are known to hold no end.
        """
        if _END_OF_HEAD in self.head[searched:]:
            return True
        line_end = self.head.find(b"\n", 0, _MAX_LINE_BYTES)
        if line_end < 0:
            return len(self.head) >= _MAX_LINE_BYTES
        return line_end > 1 and not _REQUEST_LINE.match(self.head)

    @property
    def is_head_too_long(self) -> bool:
        """Whether the header has no end where the longest one ends."""
        return len(self.head) > MAX_HEAD_BYTES

    def init(self) -> None:
        """In the thread that goes on: what was read comes first."""
        super().init()
        if self._is_read_by_us:
            if not isinstance(self.parser.unreader, PacedUnreader):
                self.parser.unreader = PacedUnreader(self.sock)
            self.parser.unreader.begin_request(bytes(self.head))
            self.head = bytearray()

    @property
    def has_unread_body(self) -> bool:
        """Whether the client may still be sending what nobody has read."""
        body = getattr(self.parser and self.parser.mesg, "body", None)
        if body is None:  # it is no request
            return False
        return not isinstance(body.reader, LengthReader) or body.reader.length > 0

    def discard_some(self) -> bool:
        """Take what has arrived unread; whether there may be more, and not yet too much."""
        try:
            block = self.sock.recv(MAX_HEAD_BYTES)
        except BlockingIOError:
            return True
        except OSError:
            return False
        self._discarded += len(block)
        return bool(block) and self._discarded < _MAX_DRAINED_BLOCKS * MAX_HEAD_BYTES

    def drain(self) -> None:
        """Take what has arrived, without waiting: unread, it would have the kernel withdraw our
        answer. Raises `OSError`.
        """
        self.sock.setblocking(False)
        with suppress(BlockingIOError):
            for _ in range(_MAX_DRAINED_BLOCKS):
                if not self.sock.recv(MAX_HEAD_BYTES):
                    return

    def close(self, graceful: bool = False) -> None:
        """Safe to run twice."""
        if not self._is_closed:
            self._is_closed = True
            self._on_close(self)
            super().close(graceful)


class AddressCounter:
    """How many connections each address has; threads may share it."""

    def __init__(self) -> None:
        self._counts: Counter[str] = Counter()
        self._lock = threading.Lock()

    def add(self, address: str) -> bool:
        """Count one more; whether it is not one too many."""
        limit = settings().max_connections_per_address
        with self._lock:
            self._counts[_group_address(address)] += 1
            return (
                not limit or _is_exempt(address) or self._counts[_group_address(address)] <= limit
            )

    def remove(self, address: str) -> None:
        """Count one less."""
        with self._lock:
            self._counts[_group_address(address)] -= 1
            if self._counts[_group_address(address)] <= 0:
                del self._counts[_group_address(address)]


def _is_exempt(address: str) -> bool:
    return not address or is_loopback(address) or proxies.is_trusted(address)


def _group_address(address: str) -> str:
    """The address, or the network of which one sender has all addresses."""
    parsed = parse_address(address)
    if isinstance(parsed, ipaddress.IPv6Address):
        return str(ipaddress.ip_network((parsed, _IPV6_PREFIX_LENGTH), strict=False))
    return str(parsed or address)
