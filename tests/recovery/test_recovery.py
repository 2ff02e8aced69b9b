"""Workers and the broker lose everything in the middle of a job, and the job loses nothing."""

from __future__ import annotations

import pytest

from tests.recovery.gated import QUEUE, heard, in_the_middle, killed_in_the_middle

pytestmark = pytest.mark.processes


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
    killed_in_the_middle(here, client, which, expected)
