"""Whatever goes wrong, a job ends once, and well, and nothing is left of what went wrong."""

from __future__ import annotations

import pytest

from tests.faults.driver import Baseline, disturbed_run
from tests.faults.faults import FAULTS, STOPS, dealt, lacking
from tests.faults.field import Field
from tests.faults.fleet import EARS
from tests.faults.ledger import Ledger
from tests.faults.lonely import MOST_IN_HAND, lonely_run
from tests.faults.stops import IN_HAND, Courses, stopped_run

pytestmark = pytest.mark.processes


def test_an_hour_goes_on_when_its_only_worker_is_killed(
    field: Field, baseline: Baseline, entries: Ledger
):
    entry = lonely_run(field, baseline.present)
    entries.append(entry)
    assert entry.problems == []
    assert entry.heard_twice <= MOST_IN_HAND


def test_a_disturbed_job_comes_to_what_an_undisturbed_one_does(
    seed: int, field: Field, baseline: Baseline, entries: Ledger
):
    problems, lacked = [], []
    for fault in dealt(seed):
        if reason := lacking(field, fault):
            lacked.append(f"{fault}: {reason}")
            continue
        entry = disturbed_run(field, baseline, seed, fault)
        entries.append(entry)
        problems += [f"{fault}: {problem}" for problem in entry.problems]
    assert problems == [], f"do it again with: make test-faults SEED={seed}"
    if lacked:
        pytest.skip("; ".join(lacked))


@pytest.mark.parametrize("stop", STOPS)
def test_a_stop_makes_messages_no_more(
    seed: int, stop: str, field: Field, baseline: Baseline, courses: Courses
):
    course = stopped_run(field, seed, stop)
    courses.append(course)
    assert course.problems == [], f"do it again with: make test-faults SEED={seed}"
    most_stops = 2 * len(EARS) if "in turn" in stop else 1
    assert course.heard_twice <= most_stops * IN_HAND, (
        "but what was in hand, nothing is heard twice"
    )


def test_every_fault_has_its_turn():
    dealt_out = [fault for seed in range(1, len(FAULTS) + 1) for fault in dealt(seed)]
    assert {dealt_out.count(fault) for fault in FAULTS} == {2}
