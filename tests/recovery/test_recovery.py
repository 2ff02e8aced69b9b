"""Workers and the broker lose everything in the middle of a job, and the job loses nothing."""

from __future__ import annotations

import psutil
import pytest

from tests.integration.conftest import SAMPLE, wait_until
from tests.recovery.gated import PROCESSES, QUEUE, GatedStack
from transcribe_api.client import Client

pytestmark = pytest.mark.processes

#: Chunks that are heard before something happens.
HEARD = 7


@pytest.fixture(scope="module")
def expected(here: GatedStack) -> list[str]:
    """What is heard when nothing happens."""
    with Client(here.stack.url) as client:
        return heard(client, submit(client))


def submit(client: Client) -> str:
    return str(client.submit(SAMPLE, engine="gated", diarizer="none")["job_id"])


def heard(client: Client, job_id: str) -> list[str]:
    wait_until(lambda: client.status(job_id)["status"] not in ("queued", "processing"))
    told = client.result(job_id)
    assert not any("could not be" in warning for warning in told["warnings"])
    return [segment["text"] for segment in told["segments"]]


def in_the_middle(here: GatedStack, client: Client) -> str:
    """A job of which some chunks are heard, every process has one in hand, and others wait."""
    here.gate.close(after=HEARD)
    job_id = submit(client)
    here.gate.wait_until_in_hand(job_id, after=HEARD)
    wait_until(lambda: client.status(job_id)["chunks_done"] == HEARD)
    assert client.status(job_id)["chunks_total"] > HEARD + 2 * PROCESSES
    return job_id


def test_a_redis_that_forgets_everything_leaves_a_job_untouched(here, client, expected):
    job_id = in_the_middle(here, client)
    with here.redis() as server:
        server.flushall()
    here.gate.open()
    assert heard(client, job_id) == expected
    assert set(here.attempts(job_id)) == {1}, "no chunk was heard twice"


@pytest.mark.parametrize("which", [QUEUE, ""])
def test_after_a_kill_only_what_was_in_hand_is_done_again(here, client, expected, which: str):
    """Of the engine's worker, or of all workers at once; others are started in their place."""
    job_id = in_the_middle(here, client)
    for process in workers(here, which):
        process.kill()
    here.gate.open()
    assert heard(client, job_id) == expected
    assert sum(attempts := here.attempts(job_id)) - len(attempts) <= PROCESSES


def workers(here: GatedStack, name: str) -> list[psutil.Process]:
    """With the processes of their pools."""
    found = [one for one in here.stack.processes() if f"{name}@%h" in " ".join(one.cmdline())]
    return [*found, *(child for one in found for child in one.children(recursive=True))]
