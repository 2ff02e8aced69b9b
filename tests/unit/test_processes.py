"""Ctrl-C and SIGTERM, whenever they come: what is to be cleared away is, and none is lost."""

from __future__ import annotations

import signal
import threading
from collections.abc import Callable
from itertools import product

import pytest

from transcribe_api.cli.service import INTERRUPTED, exit_on_signals
from transcribe_api.stack.processes import hold_signals

KINDS = (signal.SIGINT, signal.SIGTERM)


@pytest.fixture(autouse=True)
def handlers():
    before = [signal.getsignal(kind) for kind in KINDS]
    yield
    assert [signal.getsignal(kind) for kind in KINDS] == before, "all is as it was"


def exit_code(of: Callable[[], None]) -> object:
    """With which a command would end that does this."""
    with pytest.raises(SystemExit) as ended:
        of()
    return ended.value.code


@pytest.mark.parametrize(("first", "second"), [*product(KINDS, KINDS)])
def test_a_second_signal_does_not_stop_the_clearing(first: signal.Signals, second: signal.Signals):
    done = []

    def command() -> None:
        with exit_on_signals():
            try:
                signal.raise_signal(first)
            finally:
                signal.raise_signal(second)
                done.append("one thing")
                with hold_signals():
                    signal.raise_signal(second)
                    done.append("another")

    assert exit_code(command) == INTERRUPTED
    assert done == ["one thing", "another"]


@pytest.mark.parametrize("kind", KINDS)
def test_a_signal_that_is_held_comes_at_the_end(kind: signal.Signals):
    done = []

    def command() -> None:
        with exit_on_signals():
            with hold_signals():
                signal.raise_signal(kind)
                signal.raise_signal(kind)
                done.append("all of it")
            done.append("too much")

    assert exit_code(command) == INTERRUPTED
    assert done == ["all of it"]


def test_what_is_ignored_stays_so():
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with exit_on_signals():
            signal.raise_signal(signal.SIGINT)
            with hold_signals():
                signal.raise_signal(signal.SIGINT)
    finally:
        signal.signal(signal.SIGINT, before)


def test_without_a_signal_the_block_goes_on_to_its_end():
    with exit_on_signals(), hold_signals():
        pass


def test_in_another_thread_nothing_is_held():
    ended = []

    def hold() -> None:
        with hold_signals():
            ended.append(True)

    thread = threading.Thread(target=hold)
    thread.start()
    thread.join()
    assert ended == [True]
