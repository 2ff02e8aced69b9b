"""Who goes before whom, and what a job that waits is told."""

from __future__ import annotations

from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric

from core import metrics
from core.db.transactions import read_session, transaction
from core.jobs import lifecycle, parts
from core.jobs.priorities import message_priority
from core.live import worker_registry
from core.live.worker_registry import ProcessReporter
from core.states import Priority
from tasks import messages
from tasks.reporting import job_status
from tests.factories.jobs import (
    TimeMachine,
    accept_job,
    begin_preparation,
    finish_preparation,
    lease_part,
    store_part,
)


@pytest.mark.parametrize(("higher", "lower"), [("high", "normal"), ("normal", "low")])
def test_a_priority_goes_before_a_lower_one_however_long_its_job_is(higher: str, lower: str):
    assert message_priority(Priority(higher), 1e6) < message_priority(Priority(lower), 1.0)


@pytest.mark.parametrize("priority", Priority)
def test_less_never_goes_after_more_and_all_of_it_is_a_priority_of_the_broker(priority: Priority):
    found = [message_priority(priority, seconds) for seconds in range(0, 20_000, 100)]
    assert found == sorted(found)
    assert len(set(found)) > 1
    assert set(found) <= set(range(10))


@pytest.mark.usefixtures("database")
def test_what_a_killed_worker_had_goes_before_the_rest_of_its_job(time_machine: TimeMachine):
    job_id = waiting(chunks=200)
    lease_part(job_id, 2)
    time_machine.forward(60)
    with transaction() as session:
        todo = parts.claim_unsent_parts(session, job_id)
        spec = lifecycle.read_spec(lifecycle.get_job(session, job_id))
    priorities = [
        one.options["priority"] for one in messages.build_part_messages(spec, todo, epoch=1)
    ]
    again = priorities.pop(2)
    assert len(priorities) == 199
    assert again < min(priorities)


def told(job_id: str, pace: float | None = None) -> tuple[int | None, float | None]:
    with read_session() as session:
        now = job_status.describe_job(session, job_id, lambda _: pace)
    return now.queue_position, now.seconds_left


def sent(**options) -> str:
    job_id = accept_job(**options)
    with transaction() as session:
        lifecycle.mark_dispatched(session, job_id)
    return job_id


def waiting(chunks: int = 2, **options) -> str:
    """A job that was cut and sent; a chunk has half a minute."""
    job_id = sent(**options)
    begin_preparation(job_id)
    finish_preparation(job_id, chunks=chunks, shards=0)
    return job_id


@pytest.mark.usefixtures("database")
class TestWaiting:
    def test_jobs_wait_to_be_prepared_by_priority_and_age(self, time_machine: TimeMachine):
        found = []
        for priority in (Priority.NORMAL, Priority.LOW, Priority.NORMAL, Priority.HIGH):
            found.append(sent(priority=priority))
            time_machine.forward(1)
        assert [told(job_id) for job_id in found] == [(1, None), (3, None), (2, None), (0, None)]

    def test_what_was_never_sent_has_no_place(self):
        assert told(accept_job()) == (None, None)

    def test_a_short_job_waits_for_its_own_only_and_a_long_one_for_both(
        self, time_machine: TimeMachine
    ):
        long = waiting(chunks=50)
        time_machine.forward(1)
        short = waiting()
        assert told(short, pace=0.5) == (0, 30.0)
        assert told(long, pace=0.5) == (1, 30.0 + 750.0)

    def test_what_others_have_behind_them_is_not_waited_for(self, time_machine: TimeMachine):
        first = waiting(chunks=3)
        time_machine.forward(1)
        second = waiting()
        assert lease_part(first)
        store_part(first, 0)
        assert told(second, pace=1.0) == (1, 60.0 + 60.0)
        assert told(first, pace=1.0)[0] is None, "its turn has come"

    def test_the_chunks_of_another_engine_are_no_matter(self):
        waiting(engine="whisperx")
        assert told(waiting(), pace=1.0) == (0, 60.0)

    def test_nothing_is_promised_while_nothing_is_known(self):
        assert told(waiting(), pace=None) == (0, None)


@pytest.fixture
def heard(redis_server, tmp_path: Path):
    """Two workers told of what they heard: three and one hands, at a quarter of real time."""
    for name, processes, chunks in (("one@a", 3, 8), ("two@b", 1, 4)):
        ProcessReporter(name).report({"processes": processes}, [_factors(chunks, 0.25 * chunks)])
    ProcessReporter("three@c").report({"processes": 5}, [])


def _factors(count: int, total: float) -> Metric:
    found = Metric("transcribe_real_time_factor", "", "histogram")
    labels = {"engine": "sphinx"}
    found.add_sample("transcribe_real_time_factor_bucket", {**labels, "le": "0.5"}, count)
    found.add_sample("transcribe_real_time_factor_count", labels, count)
    found.add_sample("transcribe_real_time_factor_sum", labels, total)
    return found


def test_the_pace_is_that_of_all_who_hear(heard):
    assert worker_registry.measure_pace("sphinx") == pytest.approx(0.25 / 4)
    assert worker_registry.measure_pace("whisperx") is None
    assert metrics.REAL_TIME_FACTOR.describe()[0].name == "transcribe_real_time_factor"


def test_nothing_is_known_of_the_pace_without_redis(data_dir: Path):
    assert worker_registry.measure_pace("sphinx") is None
