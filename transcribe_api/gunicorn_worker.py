"""Gunicorn's thread worker, with a word of ours for what never comes to the application."""

from __future__ import annotations

import socket

from gunicorn import util
from gunicorn.workers.gthread import ThreadWorker

from transcribe_api import errors


class Worker(ThreadWorker):
    """For ``--worker-class``: what is no HTTP, or too long, is answered like all other errors."""


def write_problem(client: socket.socket, status: int, reason: str, detail: str) -> None:
    """Answer without an application: the head and the body of an error."""
    body = errors.problem(status, reason.lower().replace(" ", "_"), detail or reason).get_data()
    head = (
        f"HTTP/1.1 {status} {reason}\r\n"
        "Connection: close\r\n"
        "Content-Type: application/problem+json\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    util.write_nonblock(client, head.encode("latin-1") + body)


# Workers call it by this name; there is no other way to tell them.
util.write_error = write_problem
