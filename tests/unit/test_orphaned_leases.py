"""What a killed worker had in hand is freed by the next one of its name, and by no other."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import pytest

from core.db.transactions import transaction
from core.jobs import lifecycle, parts
from core.jobs.parts import PartId
from core.jobs.recovery import Need
from core.states import PartKind
from tasks.worker import startup
from tests.factories.jobs import (
    accept_job,
    begin_preparation,
    create_listening_job,
    lease_part,
    list_needs,
    send_parts,
    store_all_parts,
    store_part,
)

pytestmark = pytest.mark.usefixtures("database")

HERE = "asr@here"


class Worker:
    """A worker that starts, and what it sends."""

    def __init__(self, hostname: str = HERE, *, has_a_twin: bool = False) -> None:
        self.hostname = hostname
        self.sent: list[str] = []
        self.app: Any = SimpleNamespace(
            control=SimpleNamespace(ping=lambda _, timeout: [timeout] if has_a_twin else []),
            send_task=lambda name, **_: self.sent.append(name),
        )

    def begins(self) -> list[str]:
        startup.free_old_leases(self.app, self.hostname)
        return self.sent


def take(job_id: str, position: int, worker: str) -> Any:
    with transaction() as session:
        part = PartId(job_id, PartKind.CHUNK, position)
        return parts.lease_part(session, part, f"message {position}", worker)


def test_what_it_had_is_found_at_once_and_can_be_taken():
    job_id = create_listening_job()
    send_parts(job_id)
    take(job_id, 0, HERE)
    assert list_needs(job_id) == []
    assert Worker().begins() == ["housekeeping"]
    assert list_needs(job_id) == [Need.RESEND]
    assert lease_part(job_id, 0, "another message")


def test_what_others_have_stays_theirs():
    job_id = create_listening_job()
    send_parts(job_id)
    take(job_id, 0, "asr@there")
    lease_part(job_id, 1, "a message of a worker without a name")
    assert Worker().begins() == []
    assert list_needs(job_id) == []


def test_what_was_stored_stays_stored():
    job_id = create_listening_job(chunks=1, shards=0)
    take(job_id, 0, HERE)
    store_part(job_id, 0)
    assert Worker().begins() == []
    assert lease_part(job_id) is None


@pytest.mark.parametrize("need", [Need.PREPARE, Need.MERGE])
def test_jobs_that_it_prepared_or_merged_go_on_too(need: Need):
    if need == Need.PREPARE:
        job_id = accept_job()
        begin_preparation(job_id)
    else:
        job_id = create_listening_job()
        store_all_parts(job_id)
        with transaction() as session:
            assert lifecycle.begin_merge(session, job_id, "me", "worker")
    assert Worker("worker").begins() == ["housekeeping"]
    assert list_needs(job_id) == [need]


def test_a_living_worker_of_the_same_name_keeps_what_it_has():
    job_id = create_listening_job()
    send_parts(job_id)
    take(job_id, 0, HERE)
    assert Worker(has_a_twin=True).begins() == []
    assert list_needs(job_id) == []


def test_a_worker_starts_without_its_database_and_its_broker(monkeypatch):
    def unknown(*_: object) -> None:
        raise OSError("no route to host")

    monkeypatch.setattr("core.jobs.orphaned_leases.has_leases", unknown)
    assert Worker().begins() == []
