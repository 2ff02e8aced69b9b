"""Gunicorn's thread worker, with limits against slow clients.

Gunicorn gives every new connection a thread, which waits for the header. So as many unfinished
headers as there are threads would block the service. In this worker, a thread starts when the
header is complete. Until then a connection only uses a descriptor, for a limited time.
"""

from __future__ import annotations

import selectors
import socket
import time
from collections import OrderedDict
from contextlib import suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

from transcribe_api.http.gate import descriptors, headers
from transcribe_api.http.gate.connections import AddressCounter, Connection
from transcribe_api.http.responses import problems

#: Connections accepted per turn, before other events are handled.
_ACCEPTS_PER_TURN = 64
#: Seconds to pause accepting if there is no room for a connection.
_PAUSE_SECONDS = 0.25
#: Seconds for which a client may continue to send after its response.
_LINGER_SECONDS = 2.0
#: Seconds in which the rest of a request body may arrive.
_BODY_REST_SECONDS = 0.05

#: Result of a request after which the client may still be sending.
_MUST_LINGER = object()


class Worker(ThreadWorker):
    """For ``--worker-class``: invalid or oversized requests get the same error format as others."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Never take these headers from requests: they would set the path prefix, bypassing a
        # proxy's rules.
        self.cfg.set("forwarder_headers", "")
        #: Connections without a complete header, the oldest first.
        self._unfinished: OrderedDict[Connection, None] = OrderedDict()
        #: Connections that were answered but may not have received the response yet.
        self._lingering: OrderedDict[Connection, None] = OrderedDict()
        self._addresses = AddressCounter()
        self._paused_until = 0.0

    def init_process(self) -> None:
        self.worker_connections = descriptors.count_affordable_connections(
            self.cfg.worker_connections, self.cfg.threads
        )
        self.max_keepalived = max(self.worker_connections - self.cfg.threads, 0)
        super().init_process()

    # Accepting

    def accept(self, listener: socket.socket) -> None:
        for _ in range(_ACCEPTS_PER_TURN):
            try:
                client, address = listener.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError as error:
                if error.errno not in descriptors.EXHAUSTION_ERRNOS:
                    raise
                self._survive_exhaustion(error)
                return
            self._admit(client, address, listener)
            if self.nr_conns >= self.worker_connections and not self._close_oldest():
                return

    def set_accept_enabled(self, enabled: bool) -> None:
        if not enabled or time.monotonic() >= self._paused_until:
            super().set_accept_enabled(enabled)

    def _survive_exhaustion(self, error: OSError) -> None:
        self.log.warning("No resources for another connection: %s", error.strerror)
        if not self._close_oldest():
            self._paused_until = time.monotonic() + _PAUSE_SECONDS
            self.set_accept_enabled(False)

    def _admit(self, client: socket.socket, address: Any, listener: socket.socket) -> None:
        connection = Connection(
            self.cfg, client, address, listener.getsockname(), on_close=self._release_address
        )
        self.nr_conns += 1
        if not self._addresses.add(connection.address):
            self._refuse(connection, HTTPStatus.TOO_MANY_REQUESTS, "too many connections")
        elif self._is_plain_http:
            connection.expect_head()
            self._read_head(connection)
        else:
            self.enqueue_req(connection)

    def _release_address(self, connection: Connection) -> None:
        self._addresses.remove(connection.address)

    @property
    def _is_plain_http(self) -> bool:
        """Return whether a connection begins with a plain HTTP header.

        Otherwise gunicorn's own code is used: a proxy that connects with TLS, HTTP/2 or the proxy
        protocol enforces its own deadlines.
        """
        cfg = self.cfg
        is_plain = (
            cfg.protocol == "http" and not cfg.is_ssl and cfg.proxy_protocol in ("off", False)
        )
        return is_plain and "h2" not in cfg.http_protocols

    # Headers

    def _read_head(self, connection: Connection) -> None:
        """Read the available part of a header, and wait for the rest."""
        try:
            is_complete = connection.read_head()
        except OSError:
            self._drop(connection)
            return
        if is_complete:
            self._unregister(connection)
            self.enqueue_req(connection)
        elif connection.is_head_too_long:
            self._refuse(
                connection, HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "the header is too long"
            )
        elif connection not in self._unfinished:
            self._wait_for_head(connection)

    def _wait_for_head(self, connection: Connection) -> None:
        connection.sock.setblocking(False)
        self._unfinished[connection] = None
        self.poller.register(
            connection.sock, selectors.EVENT_READ, partial(self._on_head_readable, connection)
        )

    def _on_head_readable(self, connection: Connection, _socket: socket.socket) -> None:
        # Another connection may have closed this one just before, to make room.
        if connection in self._unfinished:
            self._read_head(connection)

    def _unregister(self, connection: Connection) -> None:
        for connections in (self._unfinished, self._lingering):
            if connection in connections:
                del connections[connection]
                with suppress(OSError, KeyError, ValueError):
                    self.poller.unregister(connection.sock)

    def murder_pending(self) -> None:
        super().murder_pending()
        while self._unfinished and self._is_expired(next(iter(self._unfinished))):
            connection = next(iter(self._unfinished))
            if connection.head:
                self._refuse(
                    connection, HTTPStatus.REQUEST_TIMEOUT, "the header did not arrive in time"
                )
            else:
                self._drop(connection)

        while self._lingering and self._is_expired(next(iter(self._lingering))):
            self._drop(next(iter(self._lingering)))

    def _is_expired(self, connection: Connection) -> bool:
        return connection.deadline <= time.monotonic() or not (self.alive or connection.head)

    def _close_oldest(self) -> bool:
        """Close a connection without a request to make room; return whether there was one."""
        for connections in (self._lingering, self._unfinished):
            if connections:
                self._drop(next(iter(connections)))
                return True
        if self.keepalived_conns:
            connection = self.keepalived_conns.popleft()
            with suppress(OSError, KeyError, ValueError):
                self.poller.unregister(connection.sock)
            self._drop(connection)
            return True
        return False

    def _drop(self, connection: Connection) -> None:
        self._unregister(connection)
        self.nr_conns -= 1
        connection.close()

    def _refuse(self, connection: Connection, status: HTTPStatus, detail: str) -> None:
        self._unregister(connection)
        with suppress(OSError):
            write_problem(connection.sock, status.value, status.phrase, detail)
            connection.drain()
        self.nr_conns -= 1
        connection.close()

    # Requests: in their threads and afterwards

    def handle(self, conn: Connection) -> Any:
        result = super().handle(conn)
        if result is not False:
            return result
        with suppress(OSError):
            conn.drain()
        if conn.has_unread_body:
            return _MUST_LINGER
        # gunicorn would close it in the main thread, and block there until the client disconnects.
        conn.close()
        return False

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        # The unread rest of a body is read only if it has arrived: gunicorn would make a thread
        # wait for it.
        deadline = time.monotonic() + _BODY_REST_SECONDS
        return keepalive and bool(conn.parser.finish_body(deadline=deadline))

    def finish_request(self, conn: Connection, fs: Any) -> None:
        result = None if fs.cancelled() or fs.exception() else fs.result()
        if result is _MUST_LINGER:
            self._linger(conn)
        elif result is True and self._is_plain_http:
            self._await_next_request(conn, fs)
        else:
            super().finish_request(conn, fs)

    def _linger(self, connection: Connection) -> None:
        """Read for a while what the client still sends.

        If the server closed the connection at once, the kernel would discard the response.
        """
        with suppress(OSError):
            connection.sock.setblocking(False)
            connection.sock.shutdown(socket.SHUT_WR)
        connection.deadline = time.monotonic() + _LINGER_SECONDS
        self._lingering[connection] = None
        self.poller.register(
            connection.sock, selectors.EVENT_READ, partial(self._read_lingering, connection)
        )

    def _read_lingering(self, connection: Connection, _socket: socket.socket) -> None:
        if connection in self._lingering and not connection.discard_some():
            self._drop(connection)

    def _await_next_request(self, conn: Connection, fs: Any) -> None:
        beginning = conn.parser.unreader.take_buffered()
        if beginning:
            conn.expect_head(beginning)
            if conn.has_head():
                self.enqueue_req(conn)
            else:
                self._wait_for_head(conn)
        else:
            super().finish_request(conn, fs)

    def on_client_socket_readable(self, conn: Connection, client: socket.socket) -> None:
        """Read the beginning of the next request on a kept-alive connection."""
        if conn not in self.keepalived_conns:  # it was closed to make room
            return
        if not self._is_plain_http:
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        conn.expect_head()
        self._read_head(conn)


def write_problem(client: socket.socket, status: int, reason: str, detail: str) -> None:
    """Write the header and body of an error response, without the application."""
    body = problems.build_problem(
        status, reason.lower().replace(" ", "_"), detail or reason
    ).get_data()
    security_headers = "".join(
        f"{name}: {value}\r\n" for name, value in headers.SECURITY_HEADERS.items()
    )
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/problem+json\r\n"
        f"{security_headers}"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode("latin-1") + body)


# Gunicorn's workers call this function by name; there is no hook for it.
util.write_error = write_problem
