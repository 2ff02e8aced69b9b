"""MAX_CONCURRENT_JOBS: how many jobs are worked on at a time, and whose turn it is."""

from __future__ import annotations

import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import pytest
from sqlalchemy import select

from core import clock
from core.db import migrate, transactions
from core.db.models import JobRun
from core.db.transactions import read_session, transaction
from core.jobs import lifecycle, recovery
from core.settings import settings
from core.states import Stage
from tasks import pipeline
from tests.factories.jobs import (
    accept_job,
    begin_merge,
    begin_preparation,
    complete_job,
    finish_preparation,
    read_state,
)

DATABASE = os.environ.get("TEST_DATABASE_URL", "")


@pytest.fixture(params=["sqlite", "postgresql"])
def limit(request: pytest.FixtureRequest, data_dir, monkeypatch) -> Iterator[int]:
    if request.param == "postgresql":
        if not DATABASE:
            pytest.skip("TEST_DATABASE_URL names no server")
        monkeypatch.setenv("DATABASE_URL", DATABASE)
    monkeypatch.setenv("MAX_CONCURRENT_JOBS", "2")
    settings.cache_clear()
    migrate.upgrade_database()
    _remove_unfinished()
    yield 2
    _remove_unfinished()
    transactions.engine().dispose()
    transactions._engine.cache_clear()


def _remove_unfinished() -> None:
    """A server may be used by other tests too."""
    with transaction() as session:
        for job_id in session.scalars(select(JobRun.job_id).where(JobRun.stage != Stage.OVER)):
            lifecycle.delete_job(session, job_id)


def end(job_id: str) -> None:
    with transaction() as session:
        lifecycle.cancel_job(session, job_id)


def test_a_job_waits_until_another_ends(limit: int):
    first, second, third = (accept_job() for _ in range(3))
    assert begin_preparation(first)
    assert begin_preparation(second)
    assert not begin_preparation(third)
    assert read_state(third)["message"] == "Waiting for other jobs to end"
    assert read_state(third)["status"] == "queued"
    finish_preparation(first, chunks=0, shards=0)
    begin_merge(first)
    assert not begin_preparation(third), "a job is at work until it is over"
    complete_job(first)
    assert read_state(third)["message"] == "Waiting for a worker"
    assert begin_preparation(third)
    assert begin_preparation(second), "whoever has begun may begin again"


def test_the_turn_goes_by_priority_and_age(limit: int):
    old, new, urgent = accept_job(), accept_job(), accept_job(priority="high")
    assert not begin_preparation(new), "its message was only faster"
    assert begin_preparation(urgent)
    assert begin_preparation(old)


def test_the_next_is_sent_when_one_is_over(limit: int, monkeypatch: pytest.MonkeyPatch):
    first, second, third, fourth = (accept_job() for _ in range(4))
    begin_preparation(first)
    begin_preparation(second)
    sent: list[str] = []
    monkeypatch.setattr(pipeline, "start_job", sent.append)
    pipeline.start_next_jobs()
    assert sent == []
    end(second)
    pipeline.start_next_jobs()
    assert sent == [third]
    now = clock.now()
    monkeypatch.setattr(clock, "now", lambda: now + recovery.MESSAGE_TIMEOUT_SECONDS + 1)
    with read_session() as session:
        late = {one.job_id for one in recovery.find_abandoned(session)}
    assert third in late
    assert fourth not in late, "housekeeping does not flood the queue with those that must wait"


def test_workers_that_begin_at_the_same_time_do_not_pass_the_limit(limit: int):
    waiting = [accept_job() for _ in range(6)]
    at_once = threading.Barrier(len(waiting), timeout=60)

    def begin(job_id: str) -> bool:
        at_once.wait()
        return begin_preparation(job_id, owner=job_id)

    with ThreadPoolExecutor(len(waiting)) as pool:
        began = list(pool.map(begin, waiting))
    assert began == [True, True, False, False, False, False]
