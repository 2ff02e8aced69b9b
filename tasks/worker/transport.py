"""How messages get to Redis and back: as kombu does it, but with less to do for each of them."""

from __future__ import annotations

from collections import deque
from typing import Any

import structlog
from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis
from redis import ResponseError

log = structlog.get_logger(__name__)


class QoS(kombu_redis.QoS):
    """Keeps what a consumer has not acknowledged."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        #: Tags of messages that are done with, and that Redis has not let go yet.
        self._pending_acks: deque[str] = deque()

    def ack(self, delivery_tag: str) -> None:
        """Let go of a message, and of those that Redis would not let go before.

        Redis refuses all that changes something while its disk is full. A message that counted as
        in hand for ever would keep its consumer from taking another, so it only stays in Redis,
        until the next `ack` removes it.
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
        """Put a message that is requeued where it came from, as other brokers do.

        kombu puts it behind all others of its priority: what a lost process had in hand would be
        done last. What Redis refuses to put back, recovery sends again.
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
    """Keeps its client of Redis, where kombu makes one for every command it sends.

    To make one takes about as long as to talk to Redis: it copies what is known of all commands.
    A client only borrows connections from the channel's pool, so threads may share it.
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
    """The transport for Redis addresses of the broker, once `install_transport` was called."""

    Channel = Channel


def install_transport() -> None:
    """Use it from now on in this process."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}"))
