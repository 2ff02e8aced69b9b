"""Whoever stays connected is told no more once their key is revoked."""

from __future__ import annotations

import uuid
from functools import partial
from itertools import islice

import pytest
from flask.testing import FlaskClient

from core import jobs, keys
from core.db import transaction
from core.errors import Unavailable, WrongKey
from core.keys import Scope
from core.specs import JobSpec
from tests.unit.test_auth import API, browser, key, stream, token  # noqa: F401
from transcribe_api import following, sse, staying
from transcribe_api.hub import hub

pytestmark = pytest.mark.usefixtures("database")


def running_job(owner: uuid.UUID) -> str:
    with transaction() as session:
        job_id = str(uuid.uuid4())
        jobs.accept(
            session, job_id, JobSpec(engine="sphinx", diarizer=None),
            filename="a.wav", audio_bytes=1, audio_sha256="0" * 64, owner=owner,
        )  # fmt: skip
    return job_id


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners are asked for their keys all the time, and sent many signs of life."""
    monkeypatch.setattr(staying, "ASK_EVERY", 0.0)
    monkeypatch.setattr(sse, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(following, "QUIET_SECONDS", 0.05)


@pytest.mark.parametrize("by_token", [False, True], ids=["key", "token"])
def test_an_open_stream_ends_with_its_key(browser: FlaskClient, impatient, by_token: bool):  # noqa: F811
    row, headers = key()
    job_id = running_job(row.owner_id)
    with transaction() as session:
        _, other = keys.create(session, "other", [Scope.READ], same_owner_as=row.prefix)
    url = f"{API}/jobs/stream/{job_id}"
    with (
        stream(browser, job_id, token(browser, headers)) if by_token
        else browser.get(url, headers=headers) as mine,
        browser.get(url, headers={"X-API-Key": other}) as theirs,
    ):  # fmt: skip
        events, others = mine.iter_encoded(), theirs.iter_encoded()
        assert b"queued" in next(events)
        assert list(islice(events, 3)) == [b": still here\n\n"] * 3
        with transaction() as session:
            keys.revoke(session, row.prefix)
        assert len(list(islice(events, 100))) < 100
        assert len(list(islice(others, 100))) == 100, "another key of the same owner"


def test_who_waits_for_a_transcript_is_refused_once_the_key_is_revoked(impatient):
    row, _ = key()
    job_id = running_job(row.owner_id)
    with hub.place(row.id) as place:
        states = following.states(job_id, partial(staying._opens, row.id), place)
        assert [one["status"] for one in islice(states, 3)] == ["queued"] * 3
        with transaction() as session:
            keys.revoke(session, row.prefix)
        with pytest.raises(WrongKey):
            list(islice(states, 100))


def test_a_database_that_is_down_ends_no_stream(impatient, monkeypatch):
    row, _ = key()
    assert staying._opens(row.id)

    def down() -> None:
        raise Unavailable("it is down")

    monkeypatch.setattr(staying, "reading", down)
    assert staying._opens(row.id)
