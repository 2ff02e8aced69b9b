"""Send the due webhooks that report the end of a job."""

from __future__ import annotations

import json
from contextlib import suppress
from email.utils import parsedate_to_datetime
from threading import BoundedSemaphore

import httpx2
import structlog
from standardwebhooks import Webhook

from core import clock, safe_http, webhooks
from core.db.models import DeliveryRow
from core.db.transactions import transaction
from core.errors import InvalidInput, JobNotFound, Unavailable
from core.jobs import lifecycle
from core.webhooks import DeliveryResult
from tasks.celery import app

log = structlog.get_logger(__name__)

#: Seconds that one attempt may take, from the name lookup to the last byte.
TIMEOUT_SECONDS = 10.0
#: Bytes of a response that are read, so that the receiver's connection does not break off.
MAX_RESPONSE_BYTES = 4096

# A worker with threads may serve other queues too; at most this many threads wait for receivers.
_slots = BoundedSemaphore(2)


@app.task(name="deliver")
def deliver(job_id: str) -> None:
    """Send the due webhooks of a job. Safe to run twice, also concurrently."""
    if not _slots.acquire(blocking=False):
        return  # it stays due, and housekeeping checks again soon
    try:
        with suppress(JobNotFound):
            while (claimed := _claim_delivery(job_id)) is not None:
                _attempt_delivery(*claimed)
    except Unavailable as error:
        log.warning("webhooks wait", reason=str(error))
    finally:
        _slots.release()


def _claim_delivery(job_id: str) -> tuple[DeliveryRow, str] | None:
    with transaction() as session:
        delivery = webhooks.claim_delivery(session, job_id)
        owner = lifecycle.get_job(session, job_id).transcript.owner_id
    return None if delivery is None else (delivery, webhooks.get_signing_secret(owner))


def _attempt_delivery(delivery: DeliveryRow, secret: str) -> None:
    result = _send_request(delivery, secret)
    log.info(
        "webhook sent",
        job_id=delivery.job_id,
        delivery_id=str(delivery.id),
        url=safe_http.redact_url(delivery.url),
        attempt=delivery.attempts,
        status=result.status,
        error=result.error,
    )
    with transaction() as session:
        webhooks.record_result(session, delivery, result)


def _send_request(delivery: DeliveryRow, secret: str) -> DeliveryResult:
    """Make one attempt, without an open transaction: a receiver may be slow."""
    body = json.dumps(delivery.payload)
    try:
        with safe_http.send_request(
            "POST",
            delivery.url,
            field="callback_url",
            seconds=TIMEOUT_SECONDS,
            headers=_build_headers(delivery, secret, body),
            content=body.encode(),
        ) as response:
            _drain_response(response)
            return _to_result(response)
    except InvalidInput as error:
        return DeliveryResult(error=str(error))
    except httpx2.TimeoutException:
        return DeliveryResult(error=f"the receiver did not answer within {TIMEOUT_SECONDS:.0f} s")
    except httpx2.HTTPError as error:
        return DeliveryResult(error=f"the receiver cannot be reached ({type(error).__name__})")
    except Exception as error:
        # Any error must count as an attempt, or the delivery would be repeated forever.
        log.exception("webhook failed unexpectedly", delivery_id=str(delivery.id))
        return DeliveryResult(error=f"an unexpected {type(error).__name__}")


def _build_headers(delivery: DeliveryRow, secret: str, body: str) -> dict[str, str]:
    now, message_id = clock.utc_now(), str(delivery.id)
    return {
        "Content-Type": "application/json",
        "webhook-id": message_id,
        "webhook-timestamp": str(int(now.timestamp())),
        "webhook-signature": Webhook(secret).sign(message_id, now, body),
    }


def _drain_response(response: httpx2.Response) -> None:
    # The content is not used, and errors are ignored: the status is already known.
    with suppress(httpx2.HTTPError):
        received = 0
        for block in response.iter_raw():
            received += len(block)
            if received >= MAX_RESPONSE_BYTES:
                return


def _to_result(response: httpx2.Response) -> DeliveryResult:
    status = response.status_code
    if 200 <= status < 300:
        return DeliveryResult(status)
    hint = "; redirects are not followed" if 300 <= status < 400 else ""
    return DeliveryResult(
        status,
        f"the receiver responded with HTTP status {status}{hint}",
        _parse_retry_after(response),
    )


def _parse_retry_after(response: httpx2.Response) -> float:
    """Return seconds from either form of the header; 0 for anything else."""
    text = response.headers.get("Retry-After", "")
    if text.isascii() and text.isdigit():
        return float(text[:9])
    with suppress(ValueError, OverflowError):
        return max(0.0, parsedate_to_datetime(text).timestamp() - clock.now())
    return 0.0
