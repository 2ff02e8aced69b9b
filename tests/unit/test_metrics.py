"""What is counted is counted once, whoever counts and whoever is replaced."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core import metrics
from core.db import transactions
from core.db.transactions import transaction
from core.errors import EngineError
from core.jobs import lifecycle
from core.live import worker_registry
from core.live.worker_registry import ProcessReporter
from tests.factories.jobs import TimeMachine, accept_job
from tests.factories.recordings import build_recording
from transcribe_api.app import create_app

#: A worker whose processes count, and are then killed, one after the other.
WORKER = """
import json, os, signal, sys
from pathlib import Path
from core import metrics

folder = Path(sys.argv[1])
metrics.count_in_folder(folder)
for _ in range(4):
    child = os.fork()
    if child == 0:
        metrics.ENDED.labels("completed").inc()
        metrics.STEP_SECONDS.labels("merge", "merge").observe(0.3)
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    samples = [sample for metric in metrics.collect_metrics() for sample in metric.samples]
    found = {sample.name: sample.value for sample in samples if "le" not in sample.labels}
    print(json.dumps([found, len(list(folder.iterdir()))]))
"""


def shown(text: str) -> dict[str, dict[str, float]]:
    """Values by name of the sample, and by the worker that told them."""
    found: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(text):
        for sample in family.samples:
            found.setdefault(sample.name, {})[sample.labels.get("worker", "")] = sample.value
    return found


def test_what_killed_processes_counted_is_kept_and_counted_once(tmp_path: Path):
    told = subprocess.run(
        [sys.executable, "-c", WORKER, tmp_path], check=True, capture_output=True, text=True
    )
    rounds = [json.loads(line) for line in told.stdout.splitlines()]
    for number, (found, files) in enumerate(rounds, 1):
        assert found["transcribe_jobs_ended_total"] == number
        assert found["transcribe_step_seconds_count"] == number
        assert found["transcribe_step_seconds_sum"] == pytest.approx(0.3 * number)
        assert files == 2, "files of processes that are gone do not pile up"


def test_counting_is_cheap(tmp_path: Path):
    script = """
import sys, time
from pathlib import Path
from core import metrics

metrics.count_in_folder(Path(sys.argv[1]))
began = time.process_time()
for _ in range(2000):
    metrics.STEP_SECONDS.labels("merge", "merge").observe(0.3)
    with metrics.measure_audio("sphinx", 30.0):
        pass
print((time.process_time() - began) / 2000)
"""
    told = subprocess.run(
        [sys.executable, "-c", script, tmp_path], check=True, capture_output=True, text=True
    )
    # A bound that a slow machine keeps too: a step itself takes a thousand times as long.
    assert float(told.stdout) < 0.002


@pytest.mark.usefixtures("database")
def test_the_end_of_a_job_counts_when_it_is_committed():
    before = _ended("failed")
    job_id = accept_job()
    with suppress(RuntimeError), transaction() as session:
        lifecycle.fail_job(session, job_id, EngineError("no"))
        raise RuntimeError
    assert _ended("failed") == before
    for _ in range(2):
        with transaction() as session:
            lifecycle.fail_job(session, job_id, EngineError("no"))
    assert _ended("failed") == before + 1


def _ended(status: str) -> float:
    return metrics.ENDED.labels(status)._value.get()


@pytest.mark.usefixtures("database", "redis_server")
def test_all_living_processes_are_shown_and_the_dead_are_not(time_machine: TimeMachine):
    for name in ("first@here", "second@there"):
        ProcessReporter(name).report({}, [metrics.PROCESSES.to_metric([((), 2)])])
    browser = create_app().test_client()
    processes = shown(browser.get("/metrics").text)["transcribe_pool_processes"]
    assert processes == {"first@here": 2, "second@there": 2}

    ProcessReporter("first@here").withdraw()
    time_machine.forward(worker_registry.EXPIRES_AFTER_SECONDS + 1)
    ProcessReporter("third@here").report({}, [metrics.PROCESSES.to_metric([((), 1)])])
    processes = shown(browser.get("/metrics").text)["transcribe_pool_processes"]
    assert processes == {"third@here": 1}


@pytest.mark.usefixtures("redis_server")
def test_a_redis_that_lost_everything_is_told_again():
    teller = ProcessReporter("first@here")
    for _ in range(3):
        teller.report({"pid": 1}, [])
        assert [one.facts for one in worker_registry.list_reports()] == [{"pid": 1}]
    teller._redis.flushall()
    teller.report({"pid": 1}, [])
    teller.report({"pid": 1}, [])
    assert [one.name for one in worker_registry.list_reports()] == ["first@here"]


@pytest.mark.usefixtures("database")
def test_metrics_are_shown_when_all_else_is_down(monkeypatch, tmp_path: Path):
    browser = create_app().test_client()
    browser.get("/nowhere")  # looks whether there are keys, and remembers it
    monkeypatch.setattr(
        transactions,
        "engine",
        lambda: transactions.build_engine(f"sqlite:///{tmp_path}/none/no.db"),
    )
    answer = browser.get("/metrics")
    assert answer.status_code == 200
    for part in ("redis", "database", "broker"):
        assert f'transcribe_up{{part="{part}"}} 0.0' in answer.text


@pytest.mark.usefixtures("database")
def test_requests_are_counted_by_rule_and_never_by_path():
    browser = create_app().test_client()
    path = "/api/transcribe/jobs/status/00000000-0000-4000-8000-000000000000"
    browser.get(path)
    browser.get("/nowhere/at/all")
    browser.open("/healthz", method="BREW")
    text = browser.get("/metrics").text
    rule = 'rule="/api/transcribe/jobs/status/<job_id>"'
    assert f'transcribe_http_requests_total{{method="GET",{rule},status="404"' in text
    assert 'rule="unmatched"' in text
    assert 'method="other"' in text
    assert "BREW" not in text
    assert "nowhere" not in text
    assert "00000000-0000" not in text


@pytest.mark.usefixtures("database")
def test_submissions_count_bytes_and_jobs():
    browser = create_app().test_client()
    before = metrics.ACCEPTED.labels("sphinx")._value.get(), metrics.UPLOAD_BYTES._value.get()
    file = build_recording()
    browser.post("/api/transcribe/jobs/transcribe", data={"file": (file, "a.wav")})
    accepted = metrics.ACCEPTED.labels("sphinx")._value.get()
    received = metrics.UPLOAD_BYTES._value.get()
    assert (accepted, received) == (before[0] + 1, before[1] + 16_044)


@pytest.mark.usefixtures("database")
def test_a_scrape_does_not_wait_for_what_is_down():
    """Bounded by the patience with Redis, which only a server that hangs would use up."""
    browser = create_app().test_client()
    began = time.monotonic()
    browser.get("/metrics")
    assert time.monotonic() - began < 30
