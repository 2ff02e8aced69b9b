"""How often a chunk asks the database; what that costs, `bench.costs` measures."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
from sqlalchemy import event

from core.db import transactions
from core.db.transactions import read_session, transaction
from core.errors import Unavailable
from core.jobs import parts
from core.jobs.parts import PartId
from core.states import PartKind
from tasks.reporting import job_status
from tests.factories.jobs import create_listening_job, lease_part, store_part

pytestmark = pytest.mark.usefixtures("database")


@contextmanager
def counted() -> Iterator[list[str]]:
    """The statements of the block, without those that only begin or end a transaction."""
    found: list[str] = []

    def note(_connection, _cursor, statement: str, *_) -> None:
        if not statement.startswith("BEGIN"):
            found.append(statement.split()[0])

    event.listen(transactions.engine(), "before_cursor_execute", note)
    yield found
    event.remove(transactions.engine(), "before_cursor_execute", note)


def told(job_id: str) -> list[str]:
    with counted() as found, read_session() as session:
        job_status.describe_job(session, job_id)
    return found


def test_a_part_is_leased_and_stored_by_a_statement_each():
    job_id = create_listening_job()
    with counted() as found:
        place = lease_part(job_id, 0)
        with transaction() as session:
            parts.mark_stored(session, PartId(job_id, PartKind.CHUNK, 0), place, "0" * 64)
    assert found == ["UPDATE", "UPDATE"]


def test_the_state_is_read_by_two_statements():
    job_id = create_listening_job()
    assert lease_part(job_id, 0)
    store_part(job_id, 0)
    assert told(job_id) == ["SELECT", "SELECT"]


def test_why_a_part_waits_is_only_asked_when_one_does():
    job_id = create_listening_job()
    # The other one is in hand: where none is, the job's place in line is asked for, too.
    assert lease_part(job_id, 0)
    assert lease_part(job_id, 1)
    part, down = PartId(job_id, PartKind.CHUNK, 0), Unavailable("Riva does not answer")
    with transaction() as session:
        parts.release_part(session, part, "me", down, wait=60.0)
    assert told(job_id) == ["SELECT"] * 3
