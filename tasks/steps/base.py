"""Common base of all steps: it turns an error into a retry or a failure."""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any

import structlog
from celery import Task
from celery.exceptions import Ignore, Reject, Retry, SoftTimeLimitExceeded
from kombu.exceptions import OperationalError

from core import metrics
from core.db.transactions import transaction
from core.errors import JobNotFound, TranscribeError, Transient, Unavailable
from core.jobs import job_leases, parts
from core.jobs.parts import PartId
from core.memory.leases import OutOfMemoryBudget
from core.settings import settings
from core.states import PartKind
from core.storage import layout, storage
from tasks import endings, messages, pipeline
from tasks.celery import app
from tasks.queues import HIGHEST_PRIORITY
from tasks.reporting import progress
from tasks.steps import loaded_engines
from tasks.worker import memory

log = structlog.get_logger(__name__)

#: Seconds before the first retry; each further retry waits twice as long.
FIRST_RETRY_SECONDS = 2.0
MAX_RETRY_SECONDS = 60.0
#: Maximum seconds that a failed server can request as a delay.
MAX_RETRY_IN_SECONDS = 300.0
#: Retries while the database, the storage or an engine's server is down: about a day. An outage is
#: not the job's fault, no process waits meanwhile, and a server with large models needs half an
#: hour to start.
OUTAGE_RETRIES = 24 * 60
#: Header of a message: the number of its retries after an outage.
OUTAGES_HEADER = "outages"


class UnexpectedError(TranscribeError):
    """Replaces an error from outside this project: details go to the log, not to the caller."""

    code = "internal_error"


class Step(Task):
    """A task whose first argument is the id of its job.

    After a temporary error the step runs again later. Any other error, or the last temporary one,
    ends the step's job or part. For Celery a step never fails, so a chord always continues.
    """

    abstract = True
    ignore_result = True
    Request = memory.Request
    #: `_retry_later` counts instead, since it knows the reason.
    max_retries = None

    def __call__(self, job_id: str, *args: Any) -> None:
        started, has_room = time.perf_counter(), True
        try:
            self._run_once(job_id, *args)
        except JobNotFound:
            # The job was deleted meanwhile, and this step may have written objects after that.
            log.info("job is gone")
            storage().delete(layout.job_prefix(job_id))
        except OutOfMemoryBudget as reason:
            self._requeue(reason, job_id, *args)
            has_room = False
        finally:
            seconds = time.perf_counter() - started
            metrics.STEP_SECONDS.labels(self.name, self._queue).observe(seconds)
        if not has_room:
            with suppress(SoftTimeLimitExceeded):
                memory.wait_for_room(loaded_engines.leases())
            raise Ignore

    def _run_once(self, job_id: str, *args: Any) -> None:
        try:
            # Celery's own __call__ may push a second request, without the first one's id.
            self.run(job_id, *args)
            self.handle_end(job_id)
        except (Retry, Ignore, Reject, JobNotFound, OutOfMemoryBudget):
            raise
        except Transient as error:
            self._retry_later(error, job_id, *args)
        except TranscribeError as error:
            log.warning("step failed", code=error.code, reason=str(error))
            self._fail_step(error, job_id, *args)
        except Exception as error:
            log.exception("step failed unexpectedly", error=type(error).__name__)
            self._retry_later(_wrap_unexpected(error), job_id, *args)

    def give_up(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        """Record that the step failed for good."""
        raise NotImplementedError

    def release_lease(self, reason: TranscribeError, wait: float, job_id: str, *args: Any) -> None:
        """Release the lease, so that the next attempt in *wait* seconds can take it."""

    def handle_end(self, job_id: str) -> None:
        """Do what follows a completed or failed step."""

    @property
    def owner(self) -> str:
        """Return the owner of this run's leases; `tasks.worker.heartbeat` uses the same name."""
        return str(self.request.id)

    @property
    def worker(self) -> str:
        """Return Celery's name of the worker that this process belongs to."""
        return str(self.request.hostname)

    @property
    def _queue(self) -> str:
        return str((self.request.delivery_info or {}).get("routing_key"))

    def _fail_step(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        self.give_up(reason, job_id, *args)
        self.handle_end(job_id)
        metrics.FAILURES.labels(self.name, reason.code).inc()

    def _retry_later(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        if not self._may_retry(reason):
            self._fail_step(reason, job_id, *args)
            return
        delay = _retry_delay(reason, self.request.retries)
        with suppress(Unavailable):  # then the lease expires by itself
            self.release_lease(reason, delay, job_id, *args)
        log.info("step is tried again", reason=str(reason), seconds=round(delay, 1))
        metrics.RETRIES.labels(self.name, reason.code).inc()
        headers = {**self._headers, OUTAGES_HEADER: self._outages + isinstance(reason, Unavailable)}
        raise self.retry(exc=reason, countdown=delay, headers=headers)

    def _may_retry(self, reason: TranscribeError) -> bool:
        """Return whether another attempt is left; outages are counted separately."""
        if isinstance(reason, Unavailable):
            return self._outages < OUTAGE_RETRIES
        return bool(self.request.retries - self._outages < settings().chunk_max_retries)

    @property
    def _outages(self) -> int:
        return int(self._headers.get(OUTAGES_HEADER, 0))

    @property
    def _headers(self) -> Mapping[str, Any]:
        return self.request.headers or {}

    def _requeue(self, reason: OutOfMemoryBudget, job_id: str, *args: Any) -> None:
        """Leave the step to a process with enough memory; it is no attempt and no failure."""
        with suppress(Unavailable):  # then the lease expires by itself
            self.release_lease(reason, 0, job_id, *args)
        log.info("step is handed back", reason=str(reason))
        metrics.RETRIES.labels(self.name, reason.code).inc()
        # Into the same queue, as the next message to be taken.
        options = {"countdown": 0, "retries": self.request.retries, "priority": HIGHEST_PRIORITY}
        signature = self.signature_from_request(self.request, (job_id, *args), {}, **options)
        try:
            signature.apply_async()
        except OperationalError as error:
            raise Reject(str(error), requeue=True) from error


class JobStep(Step):
    """A step that works for the job as a whole: if it fails, the job fails."""

    abstract = True

    def release_lease(self, reason: TranscribeError, wait: float, job_id: str, *args: Any) -> None:  # noqa: ARG002
        with transaction() as session:
            counts = not isinstance(reason, Unavailable)
            job_leases.release_job(session, job_id, self.owner, wait=wait, counts=counts)

    def give_up(self, reason: TranscribeError, job_id: str, *args: Any) -> None:  # noqa: ARG002
        endings.fail_job(job_id, reason)


class PartStep(Step):
    """A step that works on one part: if it fails, the job continues without the part."""

    abstract = True
    kind: PartKind

    def handle_end(self, job_id: str) -> None:
        pipeline.merge_if_last(job_id, is_counted=messages.is_counted(self._headers))

    def give_up(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        with transaction() as session:
            parts.fail_part(session, self._part_id(job_id, *args), self.owner, reason)
        progress.publish_status(job_id)

    def release_lease(self, reason: TranscribeError, wait: float, job_id: str, *args: Any) -> None:
        part = self._part_id(job_id, *args)
        counts = not isinstance(reason, Unavailable | OutOfMemoryBudget)
        with transaction() as session:
            parts.release_part(session, part, self.owner, reason, wait=wait, counts=counts)
        progress.publish_status(job_id)

    def _part_id(self, job_id: str, *args: Any) -> PartId:
        return PartId(job_id, self.kind, args[0])


class ChunkStep(PartStep):
    """A step that works on one chunk."""

    abstract = True
    kind = PartKind.CHUNK


class ShardStep(PartStep):
    """A step that works on one shard."""

    abstract = True
    kind = PartKind.SHARD


def step(name: str, base: type[Step], **options: Any) -> Callable[[Callable[..., Any]], Any]:
    """Make a function a step of a job.

    *name*: used by `tasks.pipeline` and `tasks.messages`. The function gets the running step as its
    first argument; see `Step.owner`.
    """
    decorator: Callable[[Callable[..., Any]], Any] = app.task(
        name=name, base=base, bind=True, **options
    )
    return decorator


def _retry_delay(reason: TranscribeError, tries: int) -> float:
    """Return the delay in seconds: randomized, and at least what the failed server requests.

    The requested delay is limited to `MAX_RETRY_IN_SECONDS`.
    """
    delay: float = min(MAX_RETRY_SECONDS, FIRST_RETRY_SECONDS * 2 ** min(8, tries))
    delay *= random.uniform(0.8, 1.2)  # noqa: S311
    requested: float = reason.retry_in if isinstance(reason, Transient) else 0.0
    return max(delay, min(requested, MAX_RETRY_IN_SECONDS))


def _wrap_unexpected(error: Exception) -> TranscribeError:
    return UnexpectedError(f"an unexpected {type(error).__name__}; see the worker's log")
