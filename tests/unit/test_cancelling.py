"""Ending what workers have in hand while the broker is down."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator

import pytest
from kombu import pools

from core.jobs.lifecycle import ActiveMessages
from tasks import cancelling
from tasks.celery import app


class Door:
    """An address at which somebody opens and nobody answers; counts who came."""

    def __init__(self) -> None:
        self.knocks = 0
        self._socket = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._socket.getsockname()[1]}/0"
        threading.Thread(target=self._open, daemon=True).start()

    def _open(self) -> None:
        while True:
            try:
                visitor, _ = self._socket.accept()
            except OSError:
                return
            self.knocks += 1
            visitor.close()

    def close(self) -> None:
        self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Iterator[Door]:
    """In place of the broker."""
    made = Door()
    for name in ("broker_url", "broker_read_url", "broker_write_url"):
        monkeypatch.setattr(app.conf, name, made.url)
    pools.reset()
    app.amqp._producer_pool = app._pool = None
    yield made
    pools.reset()
    app.amqp._producer_pool = app._pool = None
    made.close()


def test_a_broker_that_is_down_is_asked_twice_and_not_waited_for(door: Door):
    cancelling.terminate_steps(
        ActiveMessages(prepare_message="one", part_messages=("two", "three"))
    )
    whoever_tries_again_for_each_signal = 3
    assert 0 < door.knocks < whoever_tries_again_for_each_signal


def test_nobody_is_asked_when_nothing_is_in_hand(door: Door):
    cancelling.terminate_steps(ActiveMessages())
    assert door.knocks == 0
