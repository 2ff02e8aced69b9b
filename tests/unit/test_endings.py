"""What follows the end of a job, also when whoever ended it could not see to it."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from core.db.transactions import read_session, transaction
from core.errors import Conflict, EngineError, JobNotFound
from core.jobs import lifecycle, recovery
from core.live import redis_epoch
from core.states import JobStatus
from tasks import cancelling, endings, pipeline
from tasks.celery import app
from tasks.reporting import progress
from tests.factories.jobs import (
    SEGMENT,
    TimeMachine,
    accept_job,
    begin_merge,
    create_listening_job,
    store_all_parts,
)

pytestmark = pytest.mark.usefixtures("database")

ROOT = Path(__file__).resolve().parents[2]
NO_LUCK = EngineError("no luck")


@pytest.fixture(autouse=True)
def followed(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What is sent to the broker: the webhook, and the next job."""
    seen: list[str] = []
    monkeypatch.setattr(pipeline, "send_delivery", lambda _: seen.append("deliver"))
    monkeypatch.setattr(pipeline, "start_next_jobs", lambda: seen.append("next"))
    monkeypatch.setattr(cancelling, "terminate_steps", lambda _: None)
    monkeypatch.setattr(cancelling, "withdraw_messages", lambda *_: None)
    return seen


def merged(job_id: str) -> None:
    store_all_parts(job_id)
    begin_merge(job_id)
    endings.complete_job(job_id, "me", segments=[SEGMENT], language="en", warnings=[])


def failed(job_id: str) -> None:
    endings.fail_job(job_id, NO_LUCK)


ENDS = {
    merged: JobStatus.COMPLETED,
    failed: JobStatus.FAILED,
    endings.cancel_job: JobStatus.CANCELLED,
}


@pytest.mark.usefixtures("redis_server")
@pytest.mark.parametrize("end", ENDS, ids=lambda end: end.__name__)
def test_everything_follows_every_end_once(end, followed):
    job_id = create_listening_job()
    progress.publish_status(job_id)
    end(job_id)
    assert progress.read_status(job_id).status == ENDS[end]
    assert followed == ["deliver", "next"]
    for again in ENDS:
        try:
            again(job_id)
        except Conflict:
            assert again is endings.cancel_job
    assert followed == ["deliver", "next"]
    assert untold() == []


@pytest.mark.usefixtures("redis_server")
def test_who_is_deleted_lets_the_next_in_and_sends_no_webhook(followed):
    job_id = create_listening_job()
    endings.delete_job(job_id)
    assert followed == ["next"]
    with read_session() as session, pytest.raises(JobNotFound):
        lifecycle.get_job(session, job_id)


def test_an_end_that_was_not_told_is_told_later(request, time_machine: TimeMachine, monkeypatch):
    """Redis is down when the job ends, or whoever ends it is killed at that moment."""
    told, killed = create_listening_job(), create_listening_job()
    failed(told)
    with transaction() as session:
        lifecycle.fail_job(session, killed, NO_LUCK)
    assert untold() == [], "whoever ended them may be about to tell"
    time_machine.forward(lifecycle.NOTIFY_SECONDS + 1)
    assert sorted(untold()) == sorted([told, killed])
    request.getfixturevalue("redis_server")
    monkeypatch.setattr(redis_epoch, "detect_memory_loss", lambda: False)
    app.loader.import_default_modules()
    app.tasks["housekeeping"].apply(throw=True)
    for job_id in (told, killed):
        assert progress.read_status(job_id).status == JobStatus.FAILED
    assert untold() == []


@pytest.mark.parametrize("step", ["prepare", "merge"])
def test_a_job_whose_workers_were_all_lost_ends_as_by_any_error(followed, step: str):
    """It was begun too often: whoever finds that ends it."""
    job_id = accept_job() if step == "prepare" else create_listening_job()
    if step == "merge":
        store_all_parts(job_id)
    with transaction() as session:
        lifecycle.get_job(session, job_id).run.attempts = 100
    app.loader.import_default_modules()
    app.tasks[step].apply(args=(job_id,), throw=True)
    with read_session() as session:
        assert lifecycle.get_job(session, job_id).error_details["code"] == "worker_lost"
    assert followed == ["deliver", "next"]


def untold() -> list[str]:
    with read_session() as session:
        return list(recovery.list_unreported(session))


def test_nothing_ends_a_job_but_this_module():
    ends = {"complete_job", "fail_job", "cancel_job", "delete_job"}
    found = {
        (path.name, node.func.attr)
        for package in ("tasks", "transcribe_api")
        for path in (ROOT / package).rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute)
        if isinstance(node.func.value, ast.Name) and node.func.value.id == "lifecycle"
        if node.func.attr in ends
    }
    assert found == {("endings.py", name) for name in ends}
