"""Webhooks that report the end of jobs; stored together with the end, so that none is lost.

A worker claims a delivery by compare-and-set for one attempt, so two workers never send it at once.
All functions run in the transaction of their session.
"""

from __future__ import annotations

import base64
import random
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, cast

from sqlalchemy import ColumnElement, CursorResult, and_, select, update
from sqlalchemy.orm import Session

from core import clock
from core.access import secrets
from core.db.models import DeliveryRow, TranscriptJob
from core.errors import Conflict, NotFound
from core.states import DeliveryState, JobStatus

#: Seconds until the next attempt, after each failure; after the last there is none. In total about
#: 28 hours.
RETRY_DELAYS = (5, 30, 120, 600, 1800, 3600, 2 * 3600, 4 * 3600, 8 * 3600, 12 * 3600)
#: Maximum seconds of a receiver's Retry-After.
MAX_RETRY_AFTER_SECONDS = 12 * 3600.0
#: Seconds that one attempt can take; a sender that takes longer is gone.
LEASE_SECONDS = 60.0

#: Path of a transcript.
RESULT_PATH = "/api/transcribe/jobs/result/"

_HTTP_GONE = 410


@dataclass(frozen=True, slots=True)
class DeliveryResult:
    """Result of one attempt: an HTTP status, or a sentence that says why there is none."""

    status: int | None = None
    error: str | None = None
    #: Seconds that the receiver asks the sender to wait.
    retry_after: float = 0.0

    @property
    def is_success(self) -> bool:
        return self.status is not None and 200 <= self.status < 300


def get_signing_secret(owner: uuid.UUID | None) -> str:
    """Return the signing secret of an owner's webhooks, in the form of Standard Webhooks."""
    value = secrets.get_secret(f"webhook:{owner or 'all'}")
    return "whsec_" + base64.b64encode(value.encode()).decode()


def create_delivery(session: Session, job: TranscriptJob, url: str, segments_count: int) -> None:
    """Record that the end of the job must be sent to this address."""
    session.add(
        DeliveryRow(
            id=uuid.uuid4(),
            job_id=job.job_id,
            event=f"job.{job.run.status}",
            url=url,
            payload=_build_payload(job, segments_count),
            state=DeliveryState.WAITING,
            next_try_at=clock.now(),
            created_at=clock.utc_now(),
        )
    )


def list_due_jobs(session: Session, limit: int) -> list[str]:
    """Return the jobs with deliveries due now, those that have waited longest first."""
    query = select(DeliveryRow.job_id).where(_is_due()).order_by(DeliveryRow.next_try_at)
    return list(dict.fromkeys(session.scalars(query.limit(limit))))


def has_due_delivery(session: Session, job_id: str) -> bool:
    """Return whether a delivery of the job is due now."""
    query = select(DeliveryRow.id).where(DeliveryRow.job_id == job_id, _is_due()).limit(1)
    return session.scalar(query) is not None


def claim_delivery(session: Session, job_id: str) -> DeliveryRow | None:
    """Claim one delivery of a job for an attempt; None if none is due."""
    query = select(DeliveryRow).where(DeliveryRow.job_id == job_id, _is_due())
    for row in session.scalars(query.order_by(DeliveryRow.created_at)):
        values = {
            "state": DeliveryState.SENDING,
            "attempts": row.attempts + 1,
            "next_try_at": clock.now() + LEASE_SECONDS,
        }
        if _update_delivery(session, row.id, _is_due(), **values):
            return row
    return None


def record_result(session: Session, delivery: DeliveryRow, result: DeliveryResult) -> None:
    """Record the result of an attempt, and the next state of the delivery."""
    _update_delivery(
        session,
        delivery.id,
        # If another worker has claimed it since, because this one took too long, only that one
        # records.
        and_(DeliveryRow.state == DeliveryState.SENDING, DeliveryRow.attempts == delivery.attempts),
        last_status=result.status,
        last_error=result.error,
        **_next_state(delivery.attempts, result),
    )


def list_deliveries(session: Session, job_id: str) -> Sequence[DeliveryRow]:
    """Return the deliveries of a job in the order of their creation."""
    query = select(DeliveryRow).where(DeliveryRow.job_id == job_id)
    return session.scalars(query.order_by(DeliveryRow.created_at, DeliveryRow.id)).all()


def replay_delivery(session: Session, job_id: str, delivery_id: uuid.UUID) -> DeliveryRow:
    """Send a delivery again now, with all attempts. Raises `NotFound` and `Conflict`."""
    row = session.get(DeliveryRow, delivery_id, populate_existing=True)
    if row is None or row.job_id != job_id:
        raise NotFound(f"the job has no delivery {delivery_id}")
    is_sending = and_(
        DeliveryRow.state == DeliveryState.SENDING, DeliveryRow.next_try_at > clock.now()
    )
    values = {"state": DeliveryState.WAITING, "attempts": 0, "next_try_at": clock.now()}
    if not _update_delivery(session, row.id, ~is_sending, **values):
        raise Conflict("the delivery is currently being sent")
    return row


def _build_payload(job: TranscriptJob, segments_count: int) -> dict[str, Any]:
    transcript, status = job.transcript, JobStatus(job.run.status)
    data: dict[str, Any] = {
        "job_id": job.job_id,
        "transcript_id": str(transcript.id),
        "session_id": None if transcript.session_id is None else str(transcript.session_id),
        "status": str(status),
        "engine": job.engine,
        "filename": transcript.filename,
        "created_at": clock.format_iso(job.created_at),
        "completed_at": clock.format_iso(job.completed_at),
    }
    if status is JobStatus.COMPLETED:
        data["result"] = {"segments_count": segments_count, "duration": transcript.duration}
        data["result_url"] = RESULT_PATH + job.job_id
    elif job.error_details:
        data["error"] = job.error_details
    return {
        "type": f"job.{status}",
        "timestamp": clock.format_iso(job.completed_at),
        "data": data,
    }


def _is_due() -> ColumnElement[bool]:
    # A delivery in the state "sending" is due again when its sender must be gone.
    open_states = (DeliveryState.WAITING, DeliveryState.SENDING)
    return and_(DeliveryRow.state.in_(open_states), DeliveryRow.next_try_at <= clock.now())


def _next_state(attempts: int, result: DeliveryResult) -> dict[str, Any]:
    if result.is_success:
        return {"state": DeliveryState.DELIVERED, "delivered_at": clock.utc_now()}
    if result.status == _HTTP_GONE or attempts > len(RETRY_DELAYS):
        return {"state": DeliveryState.FAILED}
    delay = max(RETRY_DELAYS[attempts - 1], min(result.retry_after, MAX_RETRY_AFTER_SECONDS))
    # Deliveries that failed together must not be retried together.
    delay *= random.uniform(1.0, 1.2)  # noqa: S311
    return {"state": DeliveryState.WAITING, "next_try_at": clock.now() + delay}


def _update_delivery(
    session: Session, delivery_id: uuid.UUID, condition: ColumnElement[bool], **values: Any
) -> bool:
    statement = update(DeliveryRow).where(DeliveryRow.id == delivery_id, condition).values(values)
    result = session.execute(statement.execution_options(synchronize_session="fetch"))
    return bool(cast(CursorResult[Any], result).rowcount)
