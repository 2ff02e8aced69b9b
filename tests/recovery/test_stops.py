"""A stack that is stopped in the middle of a job, and started again: it goes on where it was."""

from __future__ import annotations

from pathlib import Path
from signal import SIGINT, SIGTERM

import pytest

from tests.integration.conftest import wait_until
from tests.recovery.gated import PROCESSES, GatedStack, gated_stack, heard, in_the_middle, submit
from transcribe_api.client import Client

pytestmark = pytest.mark.processes

#: Seconds that workers have for what they have in hand: those chunks never end by themselves.
GRACE = "0.5"


@pytest.mark.parametrize("signal", [SIGINT, SIGTERM])
def test_what_was_cut_off_is_not_sent_again(tmp_path: Path, signal: int):
    """Twice in a row: each chunk has one message, and the one that comes back is the first."""
    with gated_stack(tmp_path, SHUTDOWN_SECONDS=GRACE) as here, Client(here.stack.url) as client:
        job_id = in_the_middle(here, client)
        left = len(here.attempts(job_id)) - client.status(job_id)["chunks_done"]
        stop(here, signal)
    begun = here.gate.begun().count(job_id)
    for _ in range(2):
        with gated_stack(tmp_path, SHUTDOWN_SECONDS=GRACE) as here:
            begun += PROCESSES
            here.gate.wait_until_in_hand(job_id, after=begun - PROCESSES)
            here.wait_for_housekeeping()
            found = here.messages(job_id)
            assert (len(found), set(found.values())) == (left, {1})
            stop(here, signal)
    with gated_stack(tmp_path, SHUTDOWN_SECONDS=GRACE) as here, Client(here.stack.url) as client:
        here.gate.open()
        words = heard(client, job_id)
        assert words == sorted(words)
        assert set(here.attempts(job_id)) == {1}, "what was begun in vain does not count"
    # Nothing but what was in hand was begun more than once.
    assert here.gate.begun().count(job_id) == begun + left


def test_what_is_cancelled_while_the_stack_ends_stays_cancelled(tmp_path: Path):
    """And another job goes on."""
    with gated_stack(tmp_path, SHUTDOWN_SECONDS=GRACE) as here, Client(here.stack.url) as client:
        cancelled = in_the_middle(here, client)
        other = submit(client)
        client.cancel(cancelled)
        stop(here, SIGTERM)
    with gated_stack(tmp_path, SHUTDOWN_SECONDS=GRACE) as here, Client(here.stack.url) as client:
        wait_until(lambda: not here.messages(cancelled))
        assert client.status(cancelled)["status"] == "cancelled"
        here.wait_for_housekeeping()
        here.gate.open()
        words = heard(client, other)
        assert words == sorted(words)
        assert not here.messages(cancelled)


def stop(here: GatedStack, signal: int) -> None:
    here.stack.process.send_signal(signal)
    here.stack.process.wait(60)
