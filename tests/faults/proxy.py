"""Stands between the service and its object store, and misbehaves when it is told to.

It answers on HTTP's level, so an answer can be wrong in ways that no killed server shows. What it
passes on is the store's own: requests keep their signed headers, which the store checks.
"""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from enum import StrEnum
from http.client import HTTPConnection, HTTPException
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from random import Random


class Mood(StrEnum):
    """How requests are answered."""

    WELL = "well"
    #: The connection is closed at once.
    GONE = "gone"
    #: A status of the server's own making, without the store being asked.
    ERRORS = "errors"
    #: After a second or two.
    SLOW = "slow"
    #: Never, while the mood lasts; then the connection is closed.
    HANGING = "hanging"
    #: With a body that breaks off.
    SHORT = "short"
    #: With a body some bytes of which are others.
    CORRUPT = "corrupt"


#: What the store says when it is overloaded, and when it is broken.
_ERRORS = ((503, "SlowDown"), (500, "InternalError"))
_SECONDS = (0.5, 2.0)
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding"}


@dataclass
class Proxy:
    """What a test may know and say."""

    port: int
    random: Random = field(default_factory=Random)
    mood: Mood = Mood.WELL
    #: Of how many requests a mood spoils one; the others are answered well.
    one_of: int = 1
    #: Requests that were not answered well.
    spoilt: int = 0

    @property
    def address(self) -> str:
        return f"127.0.0.1:{self.port}"

    @contextmanager
    def feeling(self, mood: Mood, one_of: int = 1) -> Iterator[None]:
        """Answer in this mood for as long as the block lasts."""
        self.mood, self.one_of = mood, one_of
        try:
            yield
        finally:
            self.mood = Mood.WELL

    def mood_for_a_request(self) -> Mood:
        if self.mood is Mood.WELL or self.random.randrange(self.one_of):
            return Mood.WELL
        self.spoilt += 1
        return self.mood


@contextmanager
def before(store: str) -> Iterator[Proxy]:
    """A proxy before the store at ``host:port``, for as long as the block lasts."""

    class Handler(_Handler):
        pass

    with _Server(("127.0.0.1", 0), Handler) as server:
        Handler.proxy = Proxy(server.server_address[1])
        Handler.store = store
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield Handler.proxy
        finally:
            Handler.proxy.mood = Mood.WELL
            server.shutdown()
            thread.join()


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, *_: object) -> None:
        """Who asked has gone; that is no error of a test."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    # An answer is headers and a body: two packets must not wait for each other.
    disable_nagle_algorithm = True
    proxy: Proxy
    store: str
    _connection: HTTPConnection | None = None

    def handle_one_request(self) -> None:
        try:
            super().handle_one_request()
        except (OSError, HTTPException):  # one of the two has gone
            self.close_connection = True

    def finish(self) -> None:
        super().finish()
        if self._connection is not None:
            self._connection.close()

    def _pass_on(self) -> None:
        mood = self.proxy.mood_for_a_request()
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if mood is Mood.GONE:
            self._hang_up()
        elif mood is Mood.HANGING:
            self._wait_for_better_times()
            self._hang_up()
        elif mood is Mood.ERRORS:
            self._refuse()
        else:
            if mood is Mood.SLOW:
                time.sleep(self.proxy.random.uniform(*_SECONDS))
            self._answer(mood, *self._ask(body))

    do_GET = do_PUT = do_POST = do_HEAD = do_DELETE = _pass_on  # noqa: N815

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        if self._connection is None:
            self._connection = HTTPConnection(self.store, timeout=60)
        ask = self._connection
        ask.putrequest(self.command, self.path, skip_host=True, skip_accept_encoding=True)
        for name, value in self.headers.items():
            if name.lower() not in _HOP_BY_HOP | {"expect"}:
                ask.putheader(name, value)
        ask.endheaders(body or None)
        told = ask.getresponse()
        return told.status, told.getheaders(), told.read()

    def _answer(self, mood: Mood, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in _HOP_BY_HOP:
                self.send_header(name, value)
        if "content-length" not in {name.lower() for name, _ in headers}:
            self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        if mood is Mood.SHORT and body:
            self.wfile.write(body[: len(body) // 2])
            self._hang_up()
        else:
            self.wfile.write(_spoilt(body) if mood is Mood.CORRUPT else body)

    def _refuse(self) -> None:
        status, code = self.proxy.random.choice(_ERRORS)
        body = f"<Error><Code>{code}</Code></Error>".encode()
        self._answer(Mood.WELL, status, [("Content-Type", "application/xml")], body)

    def _wait_for_better_times(self) -> None:
        while self.proxy.mood is Mood.HANGING:
            time.sleep(0.05)

    def _hang_up(self) -> None:
        self.close_connection = True
        self.connection.shutdown(socket.SHUT_RDWR)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


def _spoilt(body: bytes) -> bytes:
    """As many bytes, one in the middle of which is another."""
    middle = len(body) // 2
    return (
        body[:middle] + bytes(byte ^ 1 for byte in body[middle : middle + 1]) + body[middle + 1 :]
    )
