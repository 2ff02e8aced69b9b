"""How messages get to Redis and back: as kombu does it, but with less to do for each of them."""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, virtual
from kombu.transport import redis as kombu_redis


class QoS(kombu_redis.QoS):
    """Keeps what a consumer has not acknowledged."""

    def reject(self, delivery_tag: str, requeue: bool = False) -> None:
        """Put a message that is requeued where it came from, as other brokers do.

        kombu puts it behind all others of its priority: what a lost process had in hand would be
        done last.
        """
        if requeue:
            self.restore_by_tag(delivery_tag)
            virtual.QoS.ack(self, delivery_tag)
        else:
            super().reject(delivery_tag)


class Channel(kombu_redis.Channel):
    """Keeps its client of Redis, where kombu makes one for every command it sends.

    To make one takes about as long as to talk to Redis: it copies what is known of all commands.
    A client only borrows connections from the channel's pool, so threads may share it.
    """

    QoS = QoS
    _kept: Any = None

    def _create_client(self, asynchronous: bool = False) -> Any:
        if asynchronous:
            return super()._create_client(asynchronous=True)
        if self._kept is None or self._kept.connection_pool is not self.pool:
            self._kept = super()._create_client()
        return self._kept


class Transport(kombu_redis.Transport):
    """Found by the names of Redis in the address of the broker, once `install` was called."""

    Channel = Channel


def install() -> None:
    """Use it from now on in this process."""
    TRANSPORT_ALIASES.update(dict.fromkeys(("redis", "rediss"), f"{__name__}:{Transport.__name__}"))
