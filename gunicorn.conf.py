"""gunicorn's settings: an API server that other machines can reach does not start without keys.

gunicorn reads this file from its working directory. Every request is checked in any case, so a
server that is started without this file is just as safe.
"""

from __future__ import annotations

from typing import Any

#: JSON lines, as in all other processes.
logger_class = "transcribe_api.gunicorn_log.Logger"

#: No request header may set the path under which the application is mounted.
forwarder_headers = ""


def when_ready(server: Any) -> None:
    """Check access before the first worker starts. gunicorn prints a RuntimeError and exits."""
    from core.db import transactions
    from core.errors import TranscribeError
    from transcribe_api.http.auth import exposure

    # With reuse_port the workers open the sockets, and only the settings contain their addresses.
    listening = [listener.sock.getsockname() for listener in server.LISTENERS] or server.cfg.address
    try:
        exposure.refuse_unguarded(listening)
        transactions.engine().dispose()
    except TranscribeError as error:
        raise RuntimeError(str(error)) from None


def post_worker_init(worker: Any) -> None:
    """Reserve threads in each worker, so that streams never take all of its threads."""
    from transcribe_api.http.events.event_broker import job_events

    job_events.reserve_threads(worker.cfg.threads)
