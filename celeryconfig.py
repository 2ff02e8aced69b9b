"""Celery's settings, each with its reason; what an operator may choose is in `core.settings`."""

from kombu import Exchange, Queue

from core.settings import settings
from tasks.drift_safe_schedule import DriftSafeSchedule
from tasks.queues import CONTROL, list_servable_queues

_settings = settings()

broker_url = _settings.broker
#: Only counts the parts of a chord; what the steps find out goes to database and storage.
result_backend = _settings.result_backend

#: A step is known by its name alone, so the service can send steps whose libraries it lacks.
imports = (
    "tasks.steps.prepare",
    "tasks.steps.transcribe",
    "tasks.steps.diarize",
    "tasks.steps.merge",
    "tasks.steps.deliver",
    "tasks.steps.housekeeping",
    "tasks.purge",
)

#: What a worker without -Q serves: all that this machine can. Other queues are made on demand.
task_queues = [Queue(name, Exchange(name), routing_key=name) for name in list_servable_queues()]
task_default_queue = CONTROL
task_create_missing_queues = True

# `worker_max_memory_per_child`, by which a process that leaks is replaced after its step, depends
# on the queues of a worker: `tasks.celery` sets it. `worker_soft_shutdown_timeout` stays at 0:
# Celery sleeps for so long, even when all steps are over, without a sign of life for those that
# are not; see `tasks.worker.shutdown`.

#: A message is done with when its step is, so a worker that dies loses none.
task_acks_late = True
#: A pool process that is killed gives its message back; the attempts of a part are counted.
task_reject_on_worker_lost = True
#: A worker holds no chunks in reserve that a free one could hear.
worker_prefetch_multiplier = 1
#: Results are references in the database; storing them in Redis as well would double the traffic.
task_ignore_result = True
#: A chord of a ten-hour recording may wait for days behind others.
result_expires = 7 * 24 * 3600
result_chord_join_timeout = 3.0

#: Above the longest time limit, so no living step is delivered twice. Dead ones are found sooner,
#: by their lease: see `tasks.steps.housekeeping`.
VISIBILITY_TIMEOUT = 2 * 3600
broker_transport_options = {
    "visibility_timeout": VISIBILITY_TIMEOUT,
    #: Ten steps of priority, 0 first; `core.jobs.priorities` says which part uses which.
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
#: A step that was cut off from the broker finishes; its result is stored and its lease tells.
worker_cancel_long_running_tasks_on_connection_loss = False
#: The service must answer soon, also when the broker is down: housekeeping sends later.
task_publish_retry_policy = {"max_retries": 2, "interval_start": 0.1, "interval_step": 0.2}

#: Seconds; the other steps state theirs in their modules.
task_annotations = {
    "transcribe_chunk": {
        "soft_time_limit": _settings.chunk_time_limit,
        "time_limit": _settings.chunk_time_limit + 30,
    }
}

#: Only JSON: nobody who can write to the broker can run code by it.
task_serializer = "json"
accept_content = ["json"]
result_serializer = "json"

timezone = "UTC"
enable_utc = True

#: Logs are structured and set up by us.
worker_hijack_root_logger = False
#: What Flower watches: once it is there, it has the workers tell what they do. Where nobody
#: watches, to tell would be a third of what a worker's main process does for a chunk.
worker_send_task_events = False
task_send_sent_event = False

#: Seconds. A tick that could not be served in time is dropped, not piled up.
HOUSEKEEPING_EVERY = 5.0
CLEAN_UP_EVERY = 600.0
#: It lists the whole storage, for what is left behind once in a blue moon.
REMOVE_STRAYS_EVERY = 6 * 3600.0
#: So that an update, or the way back, does not end beat.
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
