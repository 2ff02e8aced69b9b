"""The number of messages that wait in the queues."""

from __future__ import annotations

from collections.abc import Iterable

from amqp.exceptions import ChannelError
from kombu.connection import Connection

from engines import catalog
from tasks.celery import app
from tasks.queues import CONTROL, DELIVER, MERGE, PREPARE


def list_all_queues() -> list[str]:
    """Return all queues of the service, even if this machine cannot serve them."""
    engine_queues = [spec.queue for spec in catalog.recognizers().values()]
    diarizer_queues = [spec.queue for spec in catalog.diarizers().values()]
    return [CONTROL, PREPARE, MERGE, DELIVER, *engine_queues, *diarizer_queues]


def count_messages(queues: Iterable[str]) -> dict[str, int]:
    """Count the messages of any priority that wait in these queues.

    Raises kombu's `OperationalError` if the broker does not answer.
    """
    with app.connection_for_read() as connection:
        # The library itself would retry forever.
        connection.ensure_connection(max_retries=1, interval_start=0.1)
        return {queue: _queue_length(connection, queue) for queue in queues}


def _queue_length(connection: Connection, queue: str) -> int:
    try:
        # A separate channel: brokers close a channel after a "not found".
        with connection.channel() as channel:
            return int(channel.queue_declare(queue=queue, passive=True).message_count)
    except ChannelError:  # the queue has never been used
        return 0
