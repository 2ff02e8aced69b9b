"""What we use of libraries beside their documented interfaces is still as it was.

Each library is pinned to the minor version that somebody reviewed last. After an update this test
fails until somebody has reviewed the new one: what is listed here, and the modules that use it.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]

#: Distribution -> the version, up to its minor part.
REVIEWED = {
    "celery": "5.7",
    "kombu": "5.7",
    "gunicorn": "27.0",
    "prometheus_client": "0.26",
    "Werkzeug": "3.1",
}

#: Who uses it: (``module:attribute``, parameters that we pass or override).
USED = {
    "tasks/worker/transport.py": [
        ("kombu.transport:TRANSPORT_ALIASES", None),
        ("kombu.transport.redis:QoS.ack", ["delivery_tag"]),
        ("kombu.transport.redis:QoS.reject", ["delivery_tag", "requeue"]),
        ("kombu.transport.redis:QoS.restore_by_tag", ["tag"]),
        ("kombu.transport.redis:QoS._remove_from_indices", ["delivery_tag"]),
        ("kombu.transport.virtual:QoS.ack", ["delivery_tag"]),
        ("kombu.transport.redis:Channel._create_client", ["asynchronous"]),
        ("kombu.transport.redis:Transport.Channel", None),
    ],
    "tasks/purge.py": [
        ("kombu.transport.redis:Channel._q_for_pri", ["queue", "pri"]),
        ("kombu.transport.redis:Channel.priority_steps", None),
        ("celery.backends.redis:RedisBackend.get_key_for_group", ["group_id", "key"]),
    ],
    "tasks/worker/memory.py": [
        ("celery.worker.request:Request.on_failure", ["exc_info"]),
        ("celery.worker.request:Request.cancel", ["pool"]),
        ("celery.worker.state:active_requests", None),
        ("celery.worker.state:reserved_requests", None),
    ],
    "tasks/worker/repeating_step.py": [
        ("celery.bootsteps:StartStopStep.start", ["parent"]),
        ("celery.bootsteps:StartStopStep.stop", ["parent"]),
        ("celery.worker.consumer.tasks:Tasks", None),
        ("kombu.asynchronous.timer:Timer.call_repeatedly", ["secs", "fun", "args", "priority"]),
    ],
    "tasks/beat_scheduler.py": [
        ("celery.beat:PersistentScheduler._create_schedule", []),
        ("celery.beat:PersistentScheduler._open_schedule", []),
        ("celery.beat:PersistentScheduler._remove_db", []),
    ],
    "tasks/drift_safe_schedule.py": [
        ("celery.schedules:schedule.is_due", ["last_run_at"]),
        ("celery.schedules:schedule.maybe_make_aware", ["dt"]),
    ],
    "tasks/steps/base.py": [
        (
            "celery.app.task:Task.signature_from_request",
            ["request", "args", "kwargs", "countdown", "retries"],
        ),
    ],
    "core/filesystem/metric_files.py": [
        ("prometheus_client.mmap_dict:MmapedDict.__init__", ["filename", "read_mode"]),
        ("prometheus_client.mmap_dict:MmapedDict._init_value", ["key"]),
        ("prometheus_client.values:MmapedDict", None),
    ],
    "core/metrics.py": [
        ("prometheus_client.mmap_dict:MmapedDict.read_all_values_from_file", ["filename"]),
        ("prometheus_client.mmap_dict:MmapedDict.write_value", ["key", "value", "timestamp"]),
        ("prometheus_client.values:MultiProcessValue", None),
    ],
    "transcribe_api/http/requests/forms.py": [
        ("werkzeug.formparser:MultipartDecoder", None),
        ("werkzeug.sansio.multipart:MultipartDecoder._parse_headers", ["data"]),
    ],
    "transcribe_api/gunicorn_worker.py": [
        ("gunicorn.workers.gthread:ThreadWorker.set_accept_enabled", ["enabled"]),
        ("gunicorn.workers.gthread:ThreadWorker.murder_pending", []),
        ("gunicorn.workers.gthread:ThreadWorker.init_process", []),
    ],
    "transcribe_api/http/gate/connections.py": [("gunicorn.workers.gthread:TConn", None)],
    "transcribe_api/http/gate/paced_reading.py": [
        ("gunicorn.http.unreader:SocketUnreader.chunk", ["size_hint"]),
        ("gunicorn.http.unreader:SocketUnreader.unread", ["data"]),
    ],
}


@pytest.mark.parametrize("distribution", REVIEWED)
def test_somebody_has_looked_at_this_version(distribution: str):
    installed = version(distribution)
    assert installed.startswith(REVIEWED[distribution] + "."), (
        f"{distribution} is {installed} now: look at what {sorted(USED)} use of it, then state the "
        "new version here"
    )


def resolve(path: str) -> object:
    module, _, names = path.partition(":")
    value: object = import_module(module)
    for name in names.split("."):
        value = getattr(value, name)
    return value


def accepts(function: Callable[..., object], names: list[str]) -> bool:
    """Whether it has these parameters, or takes any."""
    parameters = inspect.signature(function).parameters.values()
    if any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
        return True
    return set(names) <= {parameter.name for parameter in parameters}


@pytest.mark.parametrize(
    ("path", "names"),
    [pytest.param(*use, id=use[0]) for uses in USED.values() for use in uses],
)
def test_what_is_used_of_it_is_there(path: str, names: list[str] | None):
    value = resolve(path)
    if names is not None:
        assert callable(value)
        assert accepts(value, names), inspect.signature(value)


@pytest.mark.parametrize("module", USED)
def test_the_module_that_uses_it_is_there(module: str):
    text = (ROOT / module).read_text()
    for path, _ in USED[module]:
        assert path.rpartition(":")[2].rpartition(".")[2] in text, path


def test_a_parameter_that_is_gone_is_seen():
    assert not accepts(lambda tag: tag, ["delivery_tag"])
