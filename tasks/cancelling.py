"""Ends the work on a job that nobody wants any more: in the hands of workers, and in the queues."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog
from kombu.exceptions import OperationalError

from core.jobs import InHand
from tasks import messages
from tasks.celery import app
from tasks.queues import CONTROL, URGENT

log = structlog.get_logger(__name__)


def stop(in_hand: InHand) -> None:
    """Have the processes ended that work on these messages. Call it after the commit.

    Their workers start others in their place. When the broker is down, housekeeping sees to it
    later.
    """
    # An engine may be deaf to anything milder for as long as a chunk takes; but whoever prepares
    # listens, and clears away what it has unpacked.
    signals = dict.fromkeys(in_hand.parts, "SIGKILL")
    if in_hand.preparing:
        signals[in_hand.preparing] = "SIGTERM"
    if not signals:
        return
    try:
        _send(signals)
    except OperationalError:
        log.warning("workers go on until the broker is back", messages=len(signals))


def withdraw(job_id: str, queues: Collection[str], epoch: int) -> None:
    """Have what was sent for a job up to this epoch taken out of these queues.

    A worker looks through them, since they may be long and the service must answer. When the
    broker is down, the messages are dropped when their turn comes.
    """
    purge = messages.message("purge", job_id, queue=CONTROL, priority=URGENT)
    purge.kwargs = {"queues": sorted(queues), "epoch": epoch}
    try:
        purge.apply_async()
    except OperationalError:
        log.warning("messages stay until their turn comes", job_id=job_id)


def _send(signals: Mapping[str, str]) -> None:
    with app.connection_for_write() as connection:
        # Left to itself the library tries for seconds, once a signal, while the caller waits.
        connection.ensure_connection(max_retries=1, interval_start=0.1)
        for signal in set(signals.values()):
            sent = [message for message in signals if signals[message] == signal]
            app.control.revoke(sent, terminate=True, signal=signal, connection=connection)
