"""Runs jobs while it lets a fault strike, and looks at what has become of them."""

from __future__ import annotations

import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from random import Random

from sqlalchemy import text
from sqlalchemy.exc import SQLAlchemyError

from tests.faults import invariants
from tests.faults.backlog import Backlog
from tests.faults.faults import FAULTS, left_behind
from tests.faults.field import ASKED, Field
from tests.faults.invariants import Told, Undisturbed
from tests.faults.ledger import Entry

#: Seconds that a job is given after a fault.
PATIENCE = 180


@dataclass(frozen=True)
class Baseline:
    """How it is without a fault."""

    wanted: list[Undisturbed]
    seconds: float
    #: What there is of rows, objects, keys, files and processes.
    present: set[str]


def undisturbed_run(field: Field) -> Baseline:
    """Run the jobs twice without a fault: the first time engines are loaded."""
    first = _undisturbed_run(field, set())
    return _undisturbed_run(field, first.present)


def _undisturbed_run(field: Field, before: set[str]) -> Baseline:
    began = time.monotonic()
    job_ids = _submit(field)
    seconds = wait_until_over(field, job_ids) - began
    wanted = [invariants.seen(field, job_id) for job_id in job_ids]
    problems = invariants.broken(field, _told(job_ids, wanted))
    clear(field, job_ids)
    problems += invariants.left_over(field, before) if before else []
    assert not problems, "without a fault: " + "; ".join(problems)
    return Baseline(wanted, seconds, before or invariants.present(field))


def disturbed_run(field: Field, baseline: Baseline, seed: int, fault: str) -> Entry:
    """Run the jobs with this fault at a moment that the seed says."""
    random = Random(f"{seed} {fault}")
    field.store.random = Random(f"{seed} {fault} store")
    ended_before, began = len(field.fleet.ended), time.monotonic()
    with Backlog(field, left_behind(fault)) as backlog, ThreadPoolExecutor(1) as callers:
        submitting = callers.submit(_submit, field)
        moment = random.uniform(0, baseline.seconds)
        time.sleep(moment)
        entry = Entry(seed, fault, moment, baseline.seconds, _stages(field))
        struck = time.monotonic()
        FAULTS[fault](field, random)
        healed = time.monotonic()
        job_ids = submitting.result()
        over = wait_until_over(field, job_ids)
    entry.lasted = healed - struck
    entry.to_go_on = _first_hearing(field, healed, over) - healed
    entry.late_by = max(0.0, over - began - baseline.seconds)
    entry.problems = backlog.problems + _problems(field, baseline, job_ids)
    entry.heard_twice = heard_twice(field, began)
    entry.ended = field.fleet.ended[ended_before:]
    entry.told_again = _told_again(field)
    return entry


def _problems(field: Field, baseline: Baseline, job_ids: list[str]) -> list[str]:
    field.fleet.wait_until_ready()
    found = invariants.broken(field, _told(job_ids, baseline.wanted))
    clear(field, job_ids)
    found += invariants.left_over(field, baseline.present)
    if found:  # what this run has left is no problem of the next one
        baseline.present.update(invariants.present(field))
    return found


def _told(job_ids: list[str], wanted: list[Undisturbed]) -> list[Told]:
    return [Told(*pair) for pair in zip(job_ids, wanted, strict=True)]


def _submit(field: Field) -> list[str]:
    field.receiver.requests.clear()
    return [field.submit(asked) for asked in ASKED]


def wait_until_over(field: Field, job_ids: list[str]) -> float:
    """The moment, by the monotonic clock; that at which patience ended, if they are not over."""
    deadline = time.monotonic() + PATIENCE
    while time.monotonic() < deadline and _stages(field) != ["over"] * len(job_ids):
        time.sleep(0.05)
    return time.monotonic()


def _stages(field: Field) -> list[str]:
    """How far the jobs are, by the records; nothing while these are away."""
    try:
        with field.records.connect() as connection:
            return list(connection.scalars(text("SELECT stage FROM job_runs")))
    except SQLAlchemyError:
        return []


def clear(field: Field, job_ids: list[str]) -> None:
    """Delete the jobs, and have removed what killed processes left, as beat does now and then."""
    for job_id in job_ids:
        field.delete(job_id)
    field.clean_up()


def _first_hearing(field: Field, since: float, over: float) -> float:
    begun = [told["at"] for told in field.hearings(since)]
    return max(since, min([*begun, over]))


def heard_twice(field: Field, since: float) -> float:
    """Seconds of sound that the engine was given more than once."""
    heard = field.hearings(since)
    seconds = {told["what"]: told["seconds"] for told in heard if told["kind"] == "chunk"}
    times = Counter(told["what"] for told in heard if told["kind"] == "chunk")
    return sum(seconds[what] * (count - 1) for what, count in times.items())


def _told_again(field: Field) -> int:
    ids = Counter(one.headers["webhook-id"] for one in field.receiver.requests)
    return sum(count - 1 for count in ids.values())
