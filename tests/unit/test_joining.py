"""The same request under `/v1` joins the job that it made, while somebody waits for that."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from contextlib import ExitStack
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from sqlalchemy import func, select
from werkzeug.test import TestResponse

from core import clock
from core.db.models import SegmentRow, TranscriptJob
from core.db.transactions import read_session, transaction
from core.jobs import lifecycle
from core.live import waiting_callers
from core.settings import settings
from core.states import JobStatus
from tasks import cancelling, pipeline
from tasks.steps import housekeeping
from tests.factories.jobs import TimeMachine
from tests.factories.recordings import build_recording
from tests.factories.requests import create_key
from transcribe_api.app import create_app
from transcribe_api.http.events.event_broker import job_events

URL = "/v1/audio/transcriptions"
RETRY = {"X-Stainless-Retry-Count": "1"}

pytestmark = pytest.mark.usefixtures("redis_server")


@pytest.fixture
def browser(database: None) -> FlaskClient:
    return create_app().test_client()


@pytest.fixture(autouse=True)
def no_broker(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits in a queue."""
    monkeypatch.setattr(pipeline, "start_job", lambda _: None)
    monkeypatch.setattr(pipeline, "send_delivery", lambda _: None)
    monkeypatch.setattr(cancelling, "terminate_steps", lambda _: None)
    monkeypatch.setattr(cancelling, "withdraw_messages", lambda *_: None)


def ask(
    browser: FlaskClient,
    headers: Mapping[str, str] | None = None,
    seconds: float = 0.5,
    **form: str,
) -> TestResponse:
    """Begin to wait for a transcript: the answer is a stream, of which the beginning is there."""
    sent = {
        "file": (build_recording(seconds), "a.wav"),
        "model": "whisper-1",
        "stream": "true",
        **form,
    }
    return browser.post(URL, data=sent, headers=headers or {}, buffered=False)


def job_ids() -> list[str]:
    with read_session() as session:
        return list(session.scalars(select(TranscriptJob.job_id)))


def count_after(browser: FlaskClient, *asked: tuple[Mapping[str, str] | None, dict]) -> int:
    """How many jobs there are when all this was asked for, with nobody hanging up in between."""
    with ExitStack() as waiting:
        for headers, form in asked:
            waiting.callback(ask(browser, headers, **form).close)
        return len(job_ids())


def end(
    job_id: str, status: JobStatus = JobStatus.COMPLETED, minutes_ago: float = 0, **changes
) -> None:
    with transaction() as session:
        job = lifecycle.get_job(session, job_id)
        job.run.status = job.transcript.status = status
        job.run.stage = "over"
        job.completed_at = clock.utc_now() - timedelta(minutes=minutes_ago)
        job.transcript.segments.append(
            SegmentRow(position=0, start=0.0, end=1.0, text="Hello", words=[], **changes)
        )


def test_a_retry_of_the_client_itself_joins(browser: FlaskClient):
    assert count_after(browser, (None, {}), (RETRY, {}), (RETRY, {})) == 1


def test_without_a_key_only_a_retry_joins(browser: FlaskClient):
    assert count_after(browser, (None, {}), (None, {}), (None, {})) == 3


def test_with_a_key_every_same_request_joins(browser: FlaskClient):
    _, mine = create_key()
    _, others = create_key()
    assert count_after(browser, (mine, {}), (mine, {}), (others, {})) == 2


@pytest.mark.parametrize("form", [{"language": "en"}, {"seconds": 0.6}, {"prompt": "Ana"}])
def test_another_request_does_not_join(browser: FlaskClient, form: dict):
    assert count_after(browser, (None, {}), (RETRY, form)) == 2


def test_the_same_idempotency_key_joins(browser: FlaskClient):
    named = {"Idempotency-Key": "one"}
    assert count_after(browser, (named, {}), (named, {})) == 1


def test_a_retry_joins_the_newest_job(browser: FlaskClient):
    """Each first try of a caller without a key makes a job, and the retry belongs to the last."""
    assert count_after(browser, (None, {}), (None, {}), (RETRY, {})) == 2


@pytest.mark.parametrize(("minutes_ago", "jobs_after"), [(9, 1), (11, 2)])
def test_a_job_that_is_done_is_joined_for_ten_minutes(
    browser: FlaskClient, minutes_ago: float, jobs_after: int
):
    ask(browser).close()
    end(job_ids()[0], minutes_ago=minutes_ago)
    with ask(browser, RETRY) as answer:
        assert len(job_ids()) == jobs_after
        if jobs_after == 1:
            assert '"text": "Hello"' in answer.text


def test_a_job_that_was_edited_is_not_joined(browser: FlaskClient):
    ask(browser).close()
    end(job_ids()[0], heard_words=[])
    assert count_after(browser, (RETRY, {})) == 2


@pytest.mark.parametrize("status", [JobStatus.FAILED, JobStatus.CANCELLED])
def test_a_job_that_came_to_nothing_is_not_joined(browser: FlaskClient, status: JobStatus):
    ask(browser).close()
    end(job_ids()[0], status)
    assert count_after(browser, (RETRY, {})) == 2


def test_a_job_ends_with_the_last_who_waits(browser: FlaskClient, time_machine: TimeMachine):
    grace = settings().caller_grace_seconds
    ask(browser).close()
    time_machine.forward(grace / 2)
    ask(browser, RETRY).close()
    time_machine.forward(grace * 0.75)
    housekeeping._cancel_unawaited()
    assert statuses() == [JobStatus.QUEUED], "somebody joined meanwhile"
    time_machine.forward(grace)
    housekeeping._cancel_unawaited()
    assert statuses() == [JobStatus.CANCELLED]
    assert waiting_callers.list_unawaited() == []


def test_a_name_is_free_again_when_its_job_was_abandoned(
    browser: FlaskClient, time_machine: TimeMachine
):
    named = {"Idempotency-Key": "one"}
    ask(browser, named).close()
    time_machine.forward(settings().caller_grace_seconds + 1)
    housekeeping._cancel_unawaited()
    assert count_after(browser, (named, {})) == 2


def test_a_job_of_the_jobs_route_goes_on_without_its_caller(
    browser: FlaskClient, time_machine: TimeMachine
):
    url = "/api/transcribe/jobs/transcribe"
    assert browser.post(url, data={"file": (build_recording(), "a.wav")}).status_code == 202
    time_machine.forward(settings().caller_grace_seconds * 2)
    waiting_callers.renew_job(job_ids()[0])
    housekeeping._cancel_unawaited()
    assert statuses() == [JobStatus.QUEUED]


def statuses() -> list[JobStatus]:
    with read_session() as session:
        return [JobStatus(lifecycle.get_job(session, job_id).run.status) for job_id in job_ids()]


def test_a_stream_begins_while_its_job_waits(browser: FlaskClient):
    answer = ask(browser)
    assert (answer.status_code, answer.mimetype) == (200, "text/event-stream")
    assert next(answer.response) == b": still here\n\n"
    answer.close()


@pytest.mark.parametrize("stream", ["true", "false"])
def test_who_has_no_place_leaves_no_job_behind(browser: FlaskClient, monkeypatch, stream: str):
    monkeypatch.setattr(job_events, "_thread_limit", 1)
    with job_events.reserve_slot(uuid.uuid4()):
        refused = ask(browser, stream=stream)
    assert refused.status_code == 503
    assert refused.json["error"]["code"] == "too_many_streams"
    assert job_ids() == []
    with read_session() as session:
        assert session.scalar(select(func.count()).select_from(TranscriptJob)) == 0


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("POST", "/v1/audio/speech", 404),
        ("GET", "/v1/nothing", 404),
        ("GET", "/v1/audio/transcriptions", 405),
        ("DELETE", "/v1/models", 405),
    ],
)
def test_what_no_route_takes_is_refused_in_their_shape(
    browser: FlaskClient, method: str, path: str, status: int
):
    answer = browser.open(path, method=method)
    assert answer.status_code == status
    assert answer.json["error"].keys() == {"message", "type", "param", "code"}
    assert ("Allow" in answer.headers) == (status == 405)
    assert browser.get("/api/nothing").mimetype == "application/problem+json"
