"""Jobs are listed by the page, and by what they are."""

from __future__ import annotations

import uuid

import pytest
from flask.testing import FlaskClient

from core.db.transactions import read_session, transaction
from core.errors import EngineError, JobNotFound
from core.jobs import lifecycle, listing
from core.jobs.spec import JobSpec
from transcribe_api.app import create_app

pytestmark = pytest.mark.usefixtures("database")

URL = "/api/transcribe/jobs"
VISIT = str(uuid.uuid4())


@pytest.fixture
def browser() -> FlaskClient:
    return create_app().test_client()


def accept(engine: str = "sphinx", session_id: str | None = None) -> str:
    job_id = str(uuid.uuid4())
    spec = JobSpec(engine=engine, diarizer=None, session_id=session_id)
    with transaction() as session:
        lifecycle.accept_job(
            session, job_id, spec, filename="a.wav", audio_bytes=1, audio_sha256="0" * 64
        )
    return job_id


def listed(browser: FlaskClient, query: str = "") -> list[str]:
    answer = browser.get(f"{URL}?{query}").json
    return [job["job_id"] for job in answer["jobs"]]


def test_the_newest_comes_first_and_pages_tell_each_job_once(browser: FlaskClient):
    accepted = [accept() for _ in range(7)]
    seen: list[str] = []
    cursor = ""
    while cursor is not None:
        answer = browser.get(f"{URL}?limit=3&cursor={cursor}").json
        seen += [job["job_id"] for job in answer["jobs"]]
        cursor = answer["next_cursor"]
        accept()  # what is added meanwhile is newer than all that is to come
    assert seen == accepted[::-1]


def test_a_job_is_told_with_what_a_list_needs(browser: FlaskClient):
    job_id = accept(session_id=VISIT)
    [told] = browser.get(URL).json["jobs"]
    assert (told["job_id"], told["status"], told["filename"]) == (job_id, "queued", "a.wav")
    assert told["session_id"] == VISIT
    assert told["created_at"].endswith("Z")


def test_filters_choose(browser: FlaskClient):
    plain, other, visit = accept(), accept(engine="whisperx"), accept(session_id=VISIT)
    with transaction() as session:
        lifecycle.fail_job(session, plain, EngineError("no"))
    assert listed(browser, "status=failed") == [plain]
    assert listed(browser, "status=queued") == [visit, other]
    assert listed(browser, "engine=whisperx") == [other]
    assert listed(browser, f"session_id={VISIT}") == [visit]
    assert listed(browser, f"session_id={VISIT}&status=failed") == []


@pytest.mark.parametrize(
    ("query", "field"),
    [
        ("status=lost", "status"),
        ("engine=parrot", "engine"),
        ("session_id=1", "session_id"),
        ("limit=0", "limit"),
        ("cursor=x", "cursor"),
    ],
)
def test_a_wrong_filter_is_named(browser: FlaskClient, query: str, field: str):
    answer = browser.get(f"{URL}?{query}")
    assert (answer.status_code, answer.json["field"]) == (422, field)


def test_an_owner_sees_only_what_is_theirs(browser: FlaskClient):
    owner, job_id = uuid.uuid4(), str(uuid.uuid4())
    accept()
    with transaction() as session:
        spec = JobSpec(engine="sphinx", diarizer=None)
        lifecycle.accept_job(
            session,
            job_id,
            spec,
            filename="a",
            audio_bytes=1,
            audio_sha256="0" * 64,
            owner_id=owner,
        )
    with read_session() as session:
        page = listing.list_transcripts(session, 10, None, owner_id=owner)
        assert [row.job.job_id for row in page.rows] == [job_id]
        assert lifecycle.get_job(session, job_id, owner_id=owner).job_id == job_id
        with pytest.raises(JobNotFound):
            lifecycle.get_job(session, job_id, owner_id=uuid.uuid4())
    assert len(listed(browser)) == 2, "where nobody is asked for a key, everything is shown"
