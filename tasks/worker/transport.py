"""Transport of messages over Redis: kombu's, with less work per message."""

from __future__ import annotations

from collections import deque
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from redis import ResponseError

log = structlog.get_logger(__name__)


class QoS(kombu_redis.QoS):
    """Tracks the unacknowledged messages of a consumer."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        #: Tags of acknowledged messages that Redis has not removed yet.
        self._pending_acks: deque[str] = deque()

    def ack(self, delivery_tag: str) -> None:
        """Acknowledge a message, and earlier ones that Redis refused to remove.

        Redis refuses all changes while its disk is full. A message that stays unacknowledged would
        keep its consumer from taking another one. So it is acknowledged here, and only stays in
        Redis until the next `ack` removes it.
        """
        self._pending_acks.append(delivery_tag)
        try:
            while self._pending_acks:
                self._remove_from_indices(self._pending_acks[0]).execute()
                self._pending_acks.popleft()
        except ResponseError as error:
            log.warning("a message was not let go", reason=str(error))
        virtual.QoS.ack(self, delivery_tag)

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put a requeued message back to the head of its queue, as other brokers do.

        kombu puts it behind all others of its priority, so the step of a lost process would be done
        last. If Redis refuses, recovery sends the message again.
        """
        if not requeue:
            self.ack(delivery_tag)
            return
        try:
            self.restore_by_tag(delivery_tag)
        except ResponseError as error:
            log.warning("a message was not put back", reason=str(error))
        virtual.QoS.ack(self, delivery_tag)


class Channel(kombu_redis.Channel):
    """Keeps its Redis client, while kombu creates one for every command.

    Creating one takes about as long as talking to Redis: it copies a table of all commands. A
    client only borrows connections from the channel's pool, so threads may share it.
    """

    QoS = QoS
    _cached_client: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._cached_client is None or self._cached_client.connection_pool is not self.pool:
            self._cached_client = super()._create_client()
        return self._cached_client


class Transport(kombu_redis.Transport):
    """The transport for a broker with a Redis URL, after `install_transport`."""

    Channel = Channel


def install_transport() -> None:
    """Use this transport from now on in this process."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}"))
