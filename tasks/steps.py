"""What all steps share: how an error becomes "later" or "failed, because"."""

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

from core import jobs, layout, metrics, parts, progress
from core.db import transaction
from core.errors import JobGone, TranscribeError, Transient, Unavailable
from core.parts import PartId
from core.resources import NoRoom
from core.settings import settings
from core.states import PartKind
from core.storage import storage
from tasks import endings, loading, messages, pipeline, room
from tasks.celery import app
from tasks.queues import URGENT

log = structlog.get_logger(__name__)

#: Seconds before the first new try; each further one waits twice as long.
FIRST_WAIT = 2.0
LONGEST_WAIT = 60.0
#: Seconds that a failed service is given if it asks for as many.
LONGEST_ASKED_WAIT = 300.0
#: Tries while database, storage or an engine's server is down: about a day. That is nobody's fault,
#: no process waits with them, and a server with large models takes half an hour to start.
OUTAGE_RETRIES = 24 * 60
#: A header of the message: how many of its tries met an outage.
OUTAGES = "outages"


class Unexpected(TranscribeError):
    """Stands in for an error that is not ours: its details go to the log, not to the caller."""

    code = "internal_error"


class Step(Task):
    """A task whose first argument is the id of the job it works for.

    An error that may pass makes the step run again later; any other, and the last of those, ends
    what the step was for. A step itself never fails in Celery's eyes, so a chord always goes on.
    """

    abstract = True
    ignore_result = True
    Request = room.Request
    #: Counted by `_later`, which knows for what reason.
    max_retries = None

    def __call__(self, job_id: str, *args: Any) -> None:
        began, has_room = time.perf_counter(), True
        try:
            self._attempt(job_id, *args)
        except JobGone:
            # It was deleted meanwhile, and this step may have written after that.
            log.info("job is gone")
            storage().delete(layout.root(job_id))
        except NoRoom as reason:
            self._hand_back(reason, job_id, *args)
            has_room = False
        finally:
            seconds = time.perf_counter() - began
            metrics.STEP_SECONDS.labels(self.name, self._queue).observe(seconds)
        if not has_room:
            with suppress(SoftTimeLimitExceeded):
                room.sit_out(loading.leases())
            raise Ignore

    def _attempt(self, job_id: str, *args: Any) -> None:
        try:
            # Not Celery's own __call__: that may push a second request, without the first one's id.
            self.run(job_id, *args)
            self.ended(job_id)
        except (Retry, Ignore, Reject, JobGone, NoRoom):
            raise
        except Transient as error:
            self._later(error, job_id, *args)
        except TranscribeError as error:
            log.warning("step failed", code=error.code, reason=str(error))
            self._end(error, job_id, *args)
        except Exception as error:
            log.exception("step failed unexpectedly", error=type(error).__name__)
            self._later(_unexpected(error), job_id, *args)

    def give_up(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        """Say that the step cannot be done."""
        raise NotImplementedError

    def let_go(self, reason: TranscribeError, wait: float, job_id: str, *args: Any) -> None:
        """Make the next try, in *wait* seconds, possible."""

    def ended(self, job_id: str) -> None:
        """See to what follows a step that is done, or will not be."""

    @property
    def owner(self) -> str:
        """Under which name this run holds leases: `tasks.heartbeat` knows it too."""
        return str(self.request.id)

    @property
    def worker(self) -> str:
        """Celery's name of the worker, of which this process is one."""
        return str(self.request.hostname)

    @property
    def _queue(self) -> str:
        return str((self.request.delivery_info or {}).get("routing_key"))

    def _end(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        self.give_up(reason, job_id, *args)
        self.ended(job_id)
        metrics.FAILURES.labels(self.name, reason.code).inc()

    def _later(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        if not self._may_try_again(reason):
            self._end(reason, job_id, *args)
            return
        wait = _wait(reason, self.request.retries)
        with suppress(Unavailable):  # then the lease runs out by itself
            self.let_go(reason, wait, job_id, *args)
        log.info("step is tried again", reason=str(reason), seconds=round(wait, 1))
        metrics.RETRIES.labels(self.name, reason.code).inc()
        headers = {**self._headers, OUTAGES: self._outages + isinstance(reason, Unavailable)}
        raise self.retry(exc=reason, countdown=wait, headers=headers)

    def _may_try_again(self, reason: TranscribeError) -> bool:
        """Outages are counted apart: they take no try from what comes after them."""
        if isinstance(reason, Unavailable):
            return self._outages < OUTAGE_RETRIES
        return bool(self.request.retries - self._outages < settings().chunk_max_retries)

    @property
    def _outages(self) -> int:
        return int(self._headers.get(OUTAGES, 0))

    @property
    def _headers(self) -> Mapping[str, Any]:
        return self.request.headers or {}

    def _hand_back(self, reason: NoRoom, job_id: str, *args: Any) -> None:
        """Leave the step to a process that has room for it: neither a try nor a failure."""
        with suppress(Unavailable):  # then the lease runs out by itself
            self.let_go(reason, 0, job_id, *args)
        log.info("step is handed back", reason=str(reason))
        metrics.RETRIES.labels(self.name, reason.code).inc()
        # Where it came from, and next to be taken.
        again = {"countdown": 0, "retries": self.request.retries, "priority": URGENT}
        copy = self.signature_from_request(self.request, (job_id, *args), {}, **again)
        try:
            copy.apply_async()
        except OperationalError as error:
            raise Reject(str(error), requeue=True) from error


class JobStep(Step):
    """A step that works for the job as a whole: when it cannot be done, the job has failed."""

    abstract = True

    def let_go(self, reason: TranscribeError, wait: float, job_id: str, *args: Any) -> None:  # noqa: ARG002
        with transaction() as session:
            counts = not isinstance(reason, Unavailable)
            jobs.release(session, job_id, self.owner, wait=wait, counts=counts)

    def give_up(self, reason: TranscribeError, job_id: str, *args: Any) -> None:  # noqa: ARG002
        endings.fail(job_id, reason)


class PartStep(Step):
    """A step that works on one part: when it cannot be done, the job goes on without the part."""

    abstract = True
    kind: PartKind

    def ended(self, job_id: str) -> None:
        pipeline.part_is_over(job_id, is_counted=messages.is_counted(self._headers))

    def give_up(self, reason: TranscribeError, job_id: str, *args: Any) -> None:
        with transaction() as session:
            parts.fail(session, self._part(job_id, *args), self.owner, reason)
        progress.tell(job_id)

    def let_go(self, reason: TranscribeError, wait: float, job_id: str, *args: Any) -> None:
        part = self._part(job_id, *args)
        counts = not isinstance(reason, Unavailable | NoRoom)
        with transaction() as session:
            parts.release(session, part, self.owner, reason, wait=wait, counts=counts)
        progress.tell(job_id)

    def _part(self, job_id: str, *args: Any) -> PartId:
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
    """Make a function a step of a job, under the name that `tasks.pipeline` calls it by.

    The function gets the running step first; see `Step.owner`.
    """
    return app.task(name=name, base=base, bind=True, **options)


def _wait(reason: TranscribeError, tries: int) -> float:
    """Seconds, not all steps the same, and no less than whoever failed asks for, within reason."""
    wait = min(LONGEST_WAIT, FIRST_WAIT * 2 ** min(8, tries)) * random.uniform(0.8, 1.2)  # noqa: S311
    asked = reason.retry_in if isinstance(reason, Transient) else 0.0
    return max(wait, min(asked, LONGEST_ASKED_WAIT))


def _unexpected(error: Exception) -> TranscribeError:
    return Unexpected(f"an unexpected {type(error).__name__}; the worker's log tells more")
