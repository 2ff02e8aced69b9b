"""The Celery application; ``celery -A tasks`` finds it here."""

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

from core import log, scratch, tracing
from core.filesystem import private_files
from core.settings import settings
from tasks import trace_propagation
from tasks.worker import log_context, memory, shutdown, startup, transport
from tasks.worker.heartbeat import Heartbeat
from tasks.worker.memory import MemoryPressure
from tasks.worker.metrics import WorkerMetrics

transport.install_transport()
app = Celery("tasks")
app.config_from_object("celeryconfig")
app.steps["consumer"].update((Heartbeat, MemoryPressure, WorkerMetrics))
worker_init.connect(startup.start_recovery)
worker_shutting_down.connect(shutdown.handle_shutdown)


# The first of these signals is early enough for the warnings of a starting worker.
@celeryd_init.connect
@setup_logging.connect
def _set_up_logging(**_: Any) -> None:
    log.configure_logging(log_context.add_job)


@worker_init.connect
def _start_tracing(**_: Any) -> None:
    # Before the pool is forked; the library continues in its processes.
    trace_propagation.enable_tracing("worker")


@worker_process_shutdown.connect
def _flush_spans(**_: Any) -> None:
    tracing.flush_spans()


@celeryd_init.connect
def _limit_memory(conf: Any, options: dict[str, Any], **_: Any) -> None:
    # The worker's queues are only known now, so `celeryconfig` cannot set this.
    queues = options.get("queues") or [queue.name for queue in conf.task_queues]
    names = queues.split(",") if isinstance(queues, str) else queues
    conf.worker_max_memory_per_child = memory.max_process_kib(names)


@celeryd_init.connect
def _remove_leftovers(**_: Any) -> None:
    scratch.remove_leftovers()
    # The pool and some engines create temporary files.
    private_files.make_data_dir(settings().transcribe_data_dir)
    scratch.use_own_tempdir()
