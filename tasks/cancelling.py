"""Ends the work on a job that nobody wants any more: in the hands of workers, and in the queues."""

from __future__ import annotations

from collections.abc import Collection, Mapping

import structlog
from kombu.exceptions import OperationalError

from core.jobs.lifecycle import ActiveMessages
from tasks import messages
from tasks.celery import app
from tasks.queues import CONTROL, HIGHEST_PRIORITY

log = structlog.get_logger(__name__)


def terminate_steps(active_messages: ActiveMessages) -> None:
    """Have the processes ended that work on these messages. Call it after the commit.

    Their workers start others in their place. When the broker is down, housekeeping sees to it
    later.
    """
    # An engine may be deaf to anything milder for as long as a chunk takes; but whoever prepares
    # listens, and clears away what it has unpacked.
    signals = dict.fromkeys(active_messages.part_messages, "SIGKILL")
    if active_messages.prepare_message:
        signals[active_messages.prepare_message] = "SIGTERM"
    if not signals:
        return
    try:
        _revoke(signals)
    except OperationalError:
        log.warning("workers go on until the broker is back", messages=len(signals))


def withdraw_messages(job_id: str, queues: Collection[str], epoch: int) -> None:
    """Have what was sent for a job up to this epoch taken out of these queues.

    A worker looks through them, since they may be long and the service must answer. When the
    broker is down, the messages are dropped when their turn comes.
    """
    purge_message = messages.build_message(
        "purge", job_id, queue=CONTROL, priority=HIGHEST_PRIORITY
    )
    purge_message.kwargs = {"queues": sorted(queues), "epoch": epoch}
    try:
        purge_message.apply_async()
    except OperationalError:
        log.warning("messages stay until their turn comes", job_id=job_id)


def _revoke(signals: Mapping[str, str]) -> None:
    with app.connection_for_write() as connection:
        # Left to itself the library tries for seconds, once a signal, while the caller waits.
        connection.ensure_connection(max_retries=1, interval_start=0.1)
        for signal in set(signals.values()):
            message_ids = [message_id for message_id in signals if signals[message_id] == signal]
            app.control.revoke(message_ids, terminate=True, signal=signal, connection=connection)
