"""Definitions of all metrics; `docs/operations.md` explains them to operators.

The processes of a worker count in files that add up to one worker, so a replaced process loses no
counts. A value that can be read at any time is not counted: it is a `SampledMetric`.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
from prometheus_client import CollectorRegistry, Counter, Histogram, values
from prometheus_client.metrics_core import Metric
from prometheus_client.multiprocess import MultiProcessCollector
from sqlalchemy import event
from sqlalchemy.orm import Session

from core import clock
from core.db.models import TranscriptJob
from core.filesystem.metric_files import AllocatedDict, use_allocated_files

#: The folder for the counts of this process and its forks, if they are kept in files.
_FOLDER_VARIABLE = "PROMETHEUS_MULTIPROC_DIR"

_registry = CollectorRegistry()

_REQUEST_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300)
_STEP_BUCKETS = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600)
_JOB_BUCKETS = (1, 5, 10, 30, 60, 120, 300, 600, 1800, 3600, 7200, 14400, 43200, 86400)
_FACTOR_BUCKETS = (0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.3, 0.5, 0.75, 1, 1.5, 2, 3, 5, 10)

REQUESTS = Counter(
    "transcribe_http_requests",
    "Requests answered.",
    ("method", "rule", "status"),
    registry=_registry,
)
REQUEST_SECONDS = Histogram(
    "transcribe_http_request_seconds",
    "Seconds until the response began.",
    ("method", "rule"),
    registry=_registry,
    buckets=_REQUEST_BUCKETS,
)
UPLOAD_BYTES = Counter(
    "transcribe_upload_bytes", "Bytes of recordings received.", registry=_registry
)
ACCEPTED = Counter("transcribe_jobs_accepted", "Jobs accepted.", ("engine",), registry=_registry)
ENDED = Counter("transcribe_jobs_ended", "Jobs that have ended.", ("status",), registry=_registry)
JOB_SECONDS = Histogram(
    "transcribe_job_seconds",
    "Seconds from the acceptance of a job to its end.",
    ("status",),
    registry=_registry,
    buckets=_JOB_BUCKETS,
)
STEP_SECONDS = Histogram(
    "transcribe_step_seconds",
    "Seconds that a step took, however it ended.",
    ("step", "queue"),
    registry=_registry,
    buckets=_STEP_BUCKETS,
)
RETRIES = Counter(
    "transcribe_step_retries",
    "Retried steps.",
    ("step", "code"),
    registry=_registry,
)
FAILURES = Counter(
    "transcribe_step_failures", "Failed steps.", ("step", "code"), registry=_registry
)
AUDIO_SECONDS = Counter(
    "transcribe_audio_seconds",
    "Seconds of audio processed by engines and diarizers.",
    ("engine",),
    registry=_registry,
)
REAL_TIME_FACTOR = Histogram(
    "transcribe_real_time_factor",
    "Processing seconds per second of audio of a part.",
    ("engine",),
    registry=_registry,
    buckets=_FACTOR_BUCKETS,
)


@dataclass(frozen=True, slots=True)
class SampledMetric:
    """A number that is read when the metrics are collected."""

    name: str
    description: str
    labels: tuple[str, ...] = ()
    kind: str = "gauge"

    def to_metric(self, samples: Iterable[tuple[Sequence[str], float]]) -> Metric:
        """Return the metric with samples: pairs of label values and a number."""
        metric = Metric(self.name, self.description, self.kind)
        sample_name = self.name + ("_total" if self.kind == "counter" else "")
        for label_values, number in samples:
            metric.add_sample(
                sample_name, dict(zip(self.labels, label_values, strict=True)), number
            )
        return metric


STREAMS = SampledMetric("transcribe_streams_open", "Listeners that currently follow a job.")
MEMORY = SampledMetric("transcribe_memory_bytes", "Resident memory.", ("part",))
MEMORY_USED = SampledMetric(
    "transcribe_memory_budget_used_ratio",
    "Share of MAX_MEMORY_GB used by processes with a model on the worker's host.",
)
MEMORY_ALERTS = SampledMetric(
    "transcribe_memory_alerts", "Alerts that this share is close to 1.", kind="counter"
)
PROCESSES = SampledMetric("transcribe_pool_processes", "Processes of a worker's pool.")
REPLACED = SampledMetric(
    "transcribe_pool_processes_replaced",
    "Pool processes that ended and were replaced.",
    kind="counter",
)
QUEUE_MESSAGES = SampledMetric(
    "transcribe_queue_messages", "Messages that wait in a queue.", ("queue",)
)
QUEUE_WORKERS = SampledMetric("transcribe_queue_workers", "Live workers of a queue.", ("queue",))
JOBS = SampledMetric("transcribe_jobs", "Jobs that have not ended.", ("stage",))
UP = SampledMetric("transcribe_up", "Whether a part of the service answers.", ("part",))

SAMPLED_METRICS = (
    *(STREAMS, MEMORY, MEMORY_USED, MEMORY_ALERTS, PROCESSES, REPLACED),
    *(QUEUE_MESSAGES, QUEUE_WORKERS, JOBS, UP),
)


def build_empty_metrics() -> dict[str, Metric]:
    """Return every metric of this version by its name, without samples."""
    metrics_by_name = {metric.name: metric for metric in _registry.collect()}
    for metric in metrics_by_name.values():
        metric.samples = []
    return {
        **metrics_by_name,
        **{sampled.name: sampled.to_metric(()) for sampled in SAMPLED_METRICS},
    }


def count_in_folder(folder: Path) -> None:
    """Make this process, and its forks from now on, count in files of this folder.

    Call it before anything is counted.
    """
    os.environ[_FOLDER_VARIABLE] = str(folder)
    # The library decides at import time, but Celery's command line imports it early, with Flower's.
    use_allocated_files()
    values.ValueClass = values.MultiProcessValue()


def collect_metrics() -> list[Metric]:
    """Return all counts of this process, or of this worker."""
    folder = os.environ.get(_FOLDER_VARIABLE)
    if folder is None:
        return list(_registry.collect())
    _merge_ended_files(Path(folder))
    return list(MultiProcessCollector(None, folder).collect())


def _merge_ended_files(folder: Path) -> None:
    """Add up the counts of ended processes, so that their files do not pile up."""
    for path in folder.glob("*.db"):
        kind, _, pid = path.stem.partition("_")
        if not pid.isdigit() or psutil.pid_exists(int(pid)):
            continue
        total = AllocatedDict(str(folder / f"{kind}_ended.db"))
        for key, number, _, _ in AllocatedDict.read_all_values_from_file(str(path)):
            total.write_value(key, total.read_value(key)[0] + number, 0.0)
        total.close()
        path.unlink()


@contextmanager
def measure_audio(engine: str, seconds: float) -> Iterator[None]:
    """Count the audio that is processed in the block, and measure the time."""
    started = time.perf_counter()
    yield
    AUDIO_SECONDS.labels(engine).inc(seconds)
    if seconds > 0:
        REAL_TIME_FACTOR.labels(engine).observe((time.perf_counter() - started) / seconds)


def count_ended_job(session: Session, job: TranscriptJob) -> None:
    """Count the end of a job, once the transaction is committed."""
    status = job.run.status
    seconds = (clock.utc_now() - clock.to_utc(job.created_at)).total_seconds()

    def count(_session: Session) -> None:
        ENDED.labels(status).inc()
        JOB_SECONDS.labels(status).observe(seconds)

    event.listen(session, "after_commit", count, once=True)
