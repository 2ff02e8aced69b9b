"""Gunicorn's thread worker, with limits for senders that take their time.

Gunicorn gives a connection a thread as soon as it is there, and the thread waits for the header. So
as many unfinished headers as there are threads would end the service. Here a thread begins when the
header is complete; until then a connection costs a descriptor, for a limited time.
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

#: Connections that are accepted before others get their turn.
_ACCEPTS_PER_TURN = 64
#: Seconds without accepting, when there is no room for a connection.
_PAUSE_SECONDS = 0.25
#: Seconds for which a client may go on sending after its answer.
_LINGER_SECONDS = 2.0
#: Seconds in which the rest of a body that is on its way may arrive.
_BODY_REST_SECONDS = 0.05

#: The result of a request after which the client may still be sending.
_MUST_LINGER = object()


class Worker(ThreadWorker):
    """For ``--worker-class``: what is no HTTP, or too long, is answered like all other errors."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        # Not from requests: they would say under which path they are, past the rules of a proxy.
        self.cfg.set("forwarder_headers", "")
        #: Whose headers are not complete, the oldest first.
        self._unfinished: OrderedDict[Connection, None] = OrderedDict()
        #: That were answered, and may not have taken the answer yet.
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
        self.log.warning("No room for a connection: %s", error.strerror)
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
        """Whether a header is what comes first. Else gunicorn's own way stays: a proxy that speaks
        TLS, HTTP/2 or its own protocol with us keeps its deadlines itself.
        """
        cfg = self.cfg
        is_plain = (
            cfg.protocol == "http" and not cfg.is_ssl and cfg.proxy_protocol in ("off", False)
        )
        return is_plain and "h2" not in cfg.http_protocols

    # Headers

    def _read_head(self, connection: Connection) -> None:
        """Read what there is of a header, and wait for the rest of it."""
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
        # Another that was looked at just before may have had this one make room.
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
        """Have a connection without a request make room for others; whether there was one."""
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

    # Requests, in their threads and back

    def handle(self, conn: Connection) -> Any:
        result = super().handle(conn)
        if result is not False:
            return result
        with suppress(OSError):
            conn.drain()
        if conn.has_unread_body:
            return _MUST_LINGER
        # gunicorn would do it in the main thread, and wait there until the client hangs up.
        conn.close()
        return False

    def _keepalive_after(self, conn: Connection, keepalive: bool) -> bool:
        # What an answer did not need of a body is read only as far as it is here: gunicorn would
        # have a thread wait for it.
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
        """Read for a while what the client still sends: if we hung up at once, the kernel would
        withdraw our answer.
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
        """A connection that was kept has the beginning of another request."""
        if conn not in self.keepalived_conns:  # it had to make room just before
            return
        if not self._is_plain_http:
            super().on_client_socket_readable(conn, client)
            return
        self.poller.unregister(client)
        self.keepalived_conns.remove(conn)
        conn.expect_head()
        self._read_head(conn)


def write_problem(client: socket.socket, status: int, reason: str, detail: str) -> None:
    """Answer without an application: the head and the body of an error."""
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


# Workers call it by this name; there is no other way to tell them.
util.write_error = write_problem
