"""A real HTTP server on the loopback, which says in one place what it was asked."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer


@dataclass
class Request:
    """What came in."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes


Answer = Callable[[BaseHTTPRequestHandler, Request], None]


@dataclass
class Receiver:
    """What a test may know of a server."""

    host: str
    port: int
    #: Connections, also those over which nothing was asked.
    connections: int = 0
    requests: list[Request] = field(default_factory=list)
    answer: Answer = lambda handler, _request: reply(handler)

    @property
    def url(self) -> str:
        return f"http://{self.host}:{self.port}"


def reply(
    handler: BaseHTTPRequestHandler, status: int = 200, body: bytes = b"", **headers: str
) -> None:
    """Answer with a status, headers whose names have ``_`` for ``-``, and a body."""
    handler.send_response(status)
    declared = {"Content_Length": str(len(body))} | headers
    for name, value in declared.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def listening(answer: Answer | None = None, address: str = "127.0.0.1") -> Iterator[Receiver]:
    """A server that answers as *answer* does, for as long as the block lasts."""

    class Handler(BaseHTTPRequestHandler):
        # A receiver that is asked for something else on the same connection is another test's.
        protocol_version = "HTTP/1.0"

        def handle_one_request(self) -> None:
            try:
                super().handle_one_request()
            except OSError:  # who asked has gone
                self.close_connection = True

        def _take(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            request = Request(self.command, self.path, dict(self.headers), body)
            receiver.requests.append(request)
            receiver.answer(self, request)

        do_GET = do_POST = do_PATCH = do_DELETE = _take  # noqa: N815

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    class Server(ThreadingHTTPServer):
        daemon_threads = True

        def get_request(self) -> tuple[socket.socket, object]:
            receiver.connections += 1
            return super().get_request()

        def handle_error(self, *_: object) -> None:
            """Who asked has gone; that is no error of a test."""

    with Server((address, 0), Handler) as server:
        receiver = Receiver(address, server.server_address[1])
        if answer is not None:
            receiver.answer = answer
        thread = threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True)
        thread.start()
        try:
            yield receiver
        finally:
            server.shutdown()
            thread.join()
