"""Messages go to Redis by one client of each channel."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
from kombu import Connection
from kombu.simple import SimpleQueue

from core.settings import settings
from tasks.worker import transport

pytestmark = pytest.mark.usefixtures("redis_server")


@pytest.fixture
def channel() -> Iterator[Any]:
    transport.install_transport()
    with Connection(settings().broker) as connection:
        yield connection.default_channel


def clients(channel: Any) -> tuple[Any, Any]:
    with channel.conn_or_acquire() as first, channel.conn_or_acquire() as second:
        return first, second


def test_commands_of_a_channel_share_a_client(channel):
    first, second = clients(channel)
    assert first is second
    assert first.ping()


def test_each_channel_has_its_own(channel):
    assert clients(channel)[0] is not clients(channel.connection.client.channel())[0]


def test_the_one_that_waits_for_messages_is_another(channel):
    assert channel.client is not clients(channel)[0]


def test_a_channel_that_lost_its_connections_goes_on_with_a_new_client(channel):
    before, _ = clients(channel)
    channel._disconnect_pools()
    after, _ = clients(channel)
    assert after is not before
    assert after.ping()


def test_the_application_sends_by_it():
    from tasks.celery import app

    with app.connection_for_write() as connection:
        assert type(connection.transport) is transport.Transport


def test_what_is_given_back_is_the_next_to_be_taken(channel):
    queue = SimpleQueue(channel, "given-back", no_ack=False)
    for text in ("first", "second", "third"):
        queue.put(text)
    queue.get().reject(requeue=True)
    found = [queue.get() for _ in range(3)]
    assert [one.payload for one in found] == ["first", "second", "third"]
    for one in found:
        one.ack()


@pytest.fixture
def refusing(channel) -> Iterator[Any]:
    """Has Redis refuse what changes something, as it does while its disk is full."""
    with channel.conn_or_acquire() as client:
        yield lambda is_so: client.config_set("min-replicas-to-write", int(is_so))
        client.config_set("min-replicas-to-write", 0)


@pytest.mark.parametrize("give_back", [False, True])
def test_a_consumer_takes_more_when_redis_would_not_let_a_message_go(channel, refusing, give_back):
    channel.basic_qos(0, 1, False)
    queue = SimpleQueue(channel, "refused", no_ack=False)
    for text in ("first", "second"):
        queue.put(text)
    first = queue.get()
    assert not channel.qos.can_consume()
    refusing(True)
    first.reject(requeue=True) if give_back else first.ack()
    assert channel.qos.can_consume()
    refusing(False)
    second = queue.get()
    assert second.payload == "second"
    second.ack()
    with channel.conn_or_acquire() as client:
        left = client.hkeys(channel.unacked_key)
    assert len(left) == give_back, "what was done with is gone; the rest comes back in time"
