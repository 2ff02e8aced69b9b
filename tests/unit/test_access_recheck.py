"""Whoever stays connected is told no more once their key is revoked."""

from __future__ import annotations

import uuid
from functools import partial
from itertools import islice

import pytest
from flask.testing import FlaskClient

from core.access import keys
from core.access.keys import Scope
from core.db.transactions import transaction
from core.errors import InvalidApiKey, Unavailable
from core.jobs import lifecycle
from core.jobs.spec import JobSpec
from tests.factories.requests import API, create_key, open_stream, request_token
from transcribe_api.http.auth import access_recheck
from transcribe_api.http.events import job_waiting, sse
from transcribe_api.http.events.event_broker import job_events

pytestmark = pytest.mark.usefixtures("database")


def running_job(owner: uuid.UUID) -> str:
    with transaction() as session:
        job_id = str(uuid.uuid4())
        lifecycle.accept_job(
            session, job_id, JobSpec(engine="sphinx", diarizer=None),
            filename="a.wav", audio_bytes=1, audio_sha256="0" * 64, owner_id=owner,
        )  # fmt: skip
    return job_id


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Listeners are asked for their keys all the time, and sent many signs of life."""
    monkeypatch.setattr(access_recheck, "RECHECK_SECONDS", 0.0)
    monkeypatch.setattr(sse, "QUIET_SECONDS", 0.05)
    monkeypatch.setattr(job_waiting, "QUIET_SECONDS", 0.05)


@pytest.mark.parametrize("by_token", [False, True], ids=["key", "token"])
def test_an_open_stream_ends_with_its_key(auth_client: FlaskClient, impatient, by_token: bool):
    row, headers = create_key()
    job_id = running_job(row.owner_id)
    with transaction() as session:
        _, other = keys.create_key(session, "other", [Scope.READ], same_owner_as=row.prefix)
    url = f"{API}/jobs/stream/{job_id}"
    with (
        open_stream(auth_client, job_id, request_token(auth_client, headers)) if by_token
        else auth_client.get(url, headers=headers) as mine,
        auth_client.get(url, headers={"X-API-Key": other}) as theirs,
    ):  # fmt: skip
        events, others = mine.iter_encoded(), theirs.iter_encoded()
        assert b"queued" in next(events)
        assert list(islice(events, 3)) == [b": still here\n\n"] * 3
        with transaction() as session:
            keys.revoke_key(session, row.prefix)
        assert len(list(islice(events, 100))) < 100
        assert len(list(islice(others, 100))) == 100, "another key of the same owner"


def test_who_waits_for_a_transcript_is_refused_once_the_key_is_revoked(impatient):
    row, _ = create_key()
    job_id = running_job(row.owner_id)
    with job_events.reserve_slot(row.id) as place:
        states = job_waiting.follow_states(
            job_id, partial(access_recheck._is_key_active, row.id), place
        )
        assert [one.status for one in islice(states, 3)] == ["queued"] * 3
        with transaction() as session:
            keys.revoke_key(session, row.prefix)
        with pytest.raises(InvalidApiKey):
            list(islice(states, 100))


def test_a_database_that_is_down_ends_no_stream(impatient, monkeypatch):
    row, _ = create_key()
    assert access_recheck._is_key_active(row.id)

    def down() -> None:
        raise Unavailable("it is down")

    monkeypatch.setattr(access_recheck, "read_session", down)
    assert access_recheck._is_key_active(row.id)
