"""The Celery application. ``celery -A tasks`` finds it here."""

from __future__ import annotations

from typing import Any

from celery import Celery
from celery.signals import (
    celeryd_init,
    setup_logging,
    worker_init,
    worker_process_shutdown,
    worker_shutting_down,
)

from core import log, private_files, scratch, tracing
from core.settings import settings
from tasks import afterlife, farewell, lines, room, spans, transport
from tasks.heartbeat import Heartbeat
from tasks.room import Room
from tasks.vitals import Vitals

transport.install()
app = Celery("tasks")
app.config_from_object("celeryconfig")
app.steps["consumer"].update((Heartbeat, Room, Vitals))
worker_init.connect(afterlife.begin)
worker_shutting_down.connect(farewell.say)


# The first of them comes early enough for the warnings of a worker that starts.
@celeryd_init.connect
@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    log.configure(lines.add_job)


@worker_init.connect
def _trace(**_: Any) -> None:
    # Before the pool is forked; the library goes on in its processes.
    spans.trace("worker")


@worker_process_shutdown.connect
def _send_last_spans(**_: Any) -> None:
    tracing.flush()


@celeryd_init.connect
def _replace_what_leaks(conf: Any, options: dict[str, Any], **_: Any) -> None:
    # Only now it is known which queues the worker serves: `celeryconfig` cannot say it.
    queues = options.get("queues") or [queue.name for queue in conf.task_queues]
    names = queues.split(",") if isinstance(queues, str) else queues
    conf.worker_max_memory_per_child = room.most_kib(names)


@celeryd_init.connect
def _clear_away(**_: Any) -> None:
    scratch.sweep()
    # The pool keeps some, and so do engines.
    private_files.make_data_dir(settings().transcribe_data_dir)
    scratch.keep_temporary_files()
