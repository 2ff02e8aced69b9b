"""Stop the work on a job that is over or cancelled: in the workers and in the queues."""

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
    """Terminate the processes that work on these messages. Call it after the commit.

    Their workers replace them. If the broker is down, housekeeping does this later.
    """
    # An engine may ignore any milder signal while it transcribes a chunk. The step `prepare`
    # handles SIGTERM, and removes its temporary files.
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
    """Have a worker remove the messages of a job up to this epoch from these queues.

    A worker does it because the queues may be long and the API must answer. If the broker is down,
    each message is dropped when its turn comes.
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
        # By default the library retries for seconds per signal, while the caller waits.
        connection.ensure_connection(max_retries=1, interval_start=0.1)
        for signal in set(signals.values()):
            message_ids = [message_id for message_id in signals if signals[message_id] == signal]
            app.control.revoke(message_ids, terminate=True, signal=signal, connection=connection)
