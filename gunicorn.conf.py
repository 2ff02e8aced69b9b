"""Read by gunicorn where it starts: a service that others can reach does not start without keys.

Requests are looked at all the same, so whoever starts it elsewhere or otherwise is no less safe.
"""

from __future__ import annotations

from typing import Any

#: JSON lines, as from all other processes.
logger_class = "transcribe_api.gunicorn_log.Logger"

#: What a request says of the path that it was found under: nothing.
forwarder_headers = ""


def when_ready(server: Any) -> None:
    """Before the first worker is started. Gunicorn prints a RuntimeError and ends."""
    from core.db import transactions
    from core.errors import TranscribeError
    from transcribe_api.http.auth import exposure

    # With reuse_port the workers open the sockets, and only the settings tell which.
    listening = [listener.sock.getsockname() for listener in server.LISTENERS] or server.cfg.address
    try:
        exposure.refuse_unguarded(listening)
        transactions.engine().dispose()
    except TranscribeError as error:
        raise RuntimeError(str(error)) from None


def post_worker_init(worker: Any) -> None:
    """In each worker: however few threads it was given, streams leave some of them free."""
    from transcribe_api.http.events.event_broker import job_events

    job_events.reserve_threads(worker.cfg.threads)
