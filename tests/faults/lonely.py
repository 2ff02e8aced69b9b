"""An hour of sound with a single worker for everything, which is killed in the middle."""

from __future__ import annotations

import time

from tests.faults import invariants
from tests.faults.driver import clear, heard_twice, wait_until_over
from tests.faults.field import Asked, Field
from tests.faults.fleet import ONLY, WORKERS
from tests.faults.ledger import Entry
from tests.integration.conftest import wait_until

HOUR = Asked("hour.wav", (("engine", "echo"), ("diarizer", "none")))
NAME = "the only worker of an hour is killed"
#: Chunks that are heard before the worker is killed, of about 120.
_BEFORE = 20
#: Seconds of sound that its two processes have in hand at most: a chunk each.
MOST_IN_HAND = 2 * 40.0


def lonely_run(field: Field, before: set[str]) -> Entry:
    """SIGKILL for the only worker and its pool, and the start of a new one at the same moment."""
    field.fleet.kill(*WORKERS)
    field.fleet.start(ONLY)
    began = time.monotonic()
    job_id = field.submit(HOUR)
    wait_until(lambda: len(field.hearings(began)) >= _BEFORE)
    entry = Entry(0, NAME, time.monotonic() - began, 0.0, ["listen"])
    field.fleet.kill(ONLY)
    struck = time.monotonic()
    field.fleet.start(ONLY)
    over = wait_until_over(field, [job_id])
    entry.to_go_on = min(told["at"] for told in field.hearings(struck)) - struck
    entry.heard_twice = heard_twice(field, began)
    entry.problems = _problems(field, job_id, before)
    entry.lasted = over - struck
    field.fleet.kill(ONLY)
    field.fleet.start(*WORKERS)
    field.fleet.wait_until_ready()
    return entry


def _problems(field: Field, job_id: str, before: set[str]) -> list[str]:
    told = field.result(job_id)
    if told.get("status") != "completed" or told["warnings"]:
        return [f"the job is {told.get('status')}: {told.get('warnings')}"]
    clear(field, [job_id])
    return invariants.left_over(field, before)
