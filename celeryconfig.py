"""Celery's settings and their reasons; settings for operators are in `core.settings`."""

from kombu import Exchange, Queue

from core.settings import settings
from tasks.drift_safe_schedule import DriftSafeSchedule
from tasks.queues import CONTROL, list_servable_queues

_settings = settings()

broker_url = _settings.broker
#: Only counts the parts of a chord; the results of steps go to the database and storage.
result_backend = _settings.result_backend

#: Steps are sent by name, so the API can send steps whose libraries it lacks.
imports = (
    "tasks.steps.prepare",
    "tasks.steps.transcribe",
    "tasks.steps.diarize",
    "tasks.steps.merge",
    "tasks.steps.deliver",
    "tasks.steps.housekeeping",
    "tasks.purge",
)

#: Queues of a worker without -Q: all that this machine can serve. Others are created on demand.
task_queues = [Queue(name, Exchange(name), routing_key=name) for name in list_servable_queues()]
task_default_queue = CONTROL
task_create_missing_queues = True

# `tasks.celery` sets `worker_max_memory_per_child`, since it depends on the queues of a worker: a
# process that leaks is replaced after its step. `worker_soft_shutdown_timeout` stays at 0: Celery
# would sleep for that time even if all steps are over, without renewing the leases of unfinished
# ones; see `tasks.worker.shutdown`.

#: A message is acknowledged after its step, so a worker that dies loses none.
task_acks_late = True
#: The message of a killed pool process is requeued; the attempts of a part are counted.
task_reject_on_worker_lost = True
#: A worker reserves no chunks that an idle worker could transcribe.
worker_prefetch_multiplier = 1
#: Results are in the database; storing them in Redis as well would double the traffic.
task_ignore_result = True
#: A chord of a ten-hour recording may wait for days behind others.
result_expires = 7 * 24 * 3600
result_chord_join_timeout = 3.0

#: Longer than the longest time limit, so no message of a running step is delivered twice. Lost
#: steps are found earlier, by their lease: see `tasks.steps.housekeeping`.
VISIBILITY_TIMEOUT = 2 * 3600
broker_transport_options = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    #: Ten priorities, 0 first; `core.jobs.priorities` assigns them to parts.
    "priority_steps": list(range(10)),
    "sep": ":",
    "queue_order_strategy": "priority",
    "socket_timeout": 30,
    "socket_connect_timeout": 3,
    "socket_keepalive": True,
    "health_check_interval": 10,
}
#: The same for results.
redis_socket_timeout = 30.0
redis_socket_connect_timeout = 3.0
redis_retry_on_timeout = True
task_default_priority = 3
#: A worker that starts before its broker, or loses it, waits for it.
broker_connection_retry_on_startup = True
broker_connection_max_retries = None
#: A step that loses the broker still finishes; its result is stored, and its lease shows that it
#: runs.
worker_cancel_long_running_tasks_on_connection_loss = False
#: The API must answer soon, even if the broker is down: housekeeping sends the message later.
task_publish_retry_policy = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2}

#: Seconds; the other steps state theirs in their modules.
task_annotations = {
    "transcribe_chunk": {
        "soft_time_limit": _settings.chunk_time_limit,
        "time_limit": _settings.chunk_time_limit + 30,
    }
}

#: JSON only: write access to the broker must not make it possible to run code.
task_serializer = "json"
accept_content = ["json"]
result_serializer = "json"

timezone = "UTC"
enable_utc = True

#: `core.log` configures the structured logs.
worker_hijack_root_logger = False
#: Task events for Flower, which enables them on the workers when it starts. Without Flower, they
#: would be a third of the work of a worker's main process per chunk.
worker_send_task_events = False
task_send_sent_event = False

#: Seconds. A message that waits too long expires, so messages do not pile up.
HOUSEKEEPING_EVERY = 5.0
CLEAN_UP_EVERY = 600.0
#: Rare, because it lists the whole storage and hardly ever finds a leftover.
REMOVE_STRAYS_EVERY = 6 * 3600.0
#: An upgrade or downgrade must not stop beat.
beat_scheduler = "tasks.beat_scheduler:BeatScheduler"
beat_schedule = {
    "send-abandoned-work-again": {
        "task": "housekeeping",
        "schedule": DriftSafeSchedule(HOUSEKEEPING_EVERY),
        "options": {"queue": CONTROL, "priority": 0, "expires": 2 * HOUSEKEEPING_EVERY},
    },
    "remove-what-is-no-longer-needed": {
        "task": "clean_up",
        "schedule": DriftSafeSchedule(CLEAN_UP_EVERY),
        "options": {"queue": CONTROL, "priority": 5, "expires": CLEAN_UP_EVERY},
    },
    "remove-uploads-without-a-job": {
        "task": "remove_strays",
        "schedule": DriftSafeSchedule(REMOVE_STRAYS_EVERY),
        "options": {"queue": CONTROL, "priority": 5, "expires": REMOVE_STRAYS_EVERY},
    },
}
