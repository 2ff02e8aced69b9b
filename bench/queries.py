"""Every query that lists or watches over jobs, at a million jobs: ``python -m bench.queries``.

``DATABASE_URL`` must name an empty PostgreSQL database, which is filled and left so. Each query is
caught as the service sends it, and explained: none may read a whole table.
"""

from __future__ import annotations

import argparse
import sys
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from sqlalchemy import event, func, select, text
from sqlalchemy.orm import Session

from bench.table import show
from core import webhooks
from core.db import migrate
from core.db.models import TranscriptJob
from core.db.transactions import engine, read_session, transaction
from core.jobs import listing, recovery
from core.jobs import totals as jobs_totals
from core.settings import settings
from core.states import JobStatus
from core.storage import retention
from tasks.reporting import job_status

JOBS = 1_000_000
#: Of them all, as many are not over.
ACTIVE = 2_000

OWNER = uuid.UUID(int=7)
SESSION = uuid.UUID(int=70)

#: Has to read all, so the service asks for it seldom: see `transcribe_api.system_status`.
COUNTS = "system: all jobs by status, and their average"

# The newest jobs are the ones at work. One in ten belongs to OWNER, one in a thousand to SESSION,
# one in a hundred failed; the recordings of all but the newest are removed.
_FILL = """
INSERT INTO transcripts (id, owner_id, session_id, engine, filename, audio_key, status,
                         speaker_names, speaker_roles, warnings, created_at, duration)
SELECT md5('t' || n)::uuid,
       ('00000000-0000-0000-0000-' || lpad(to_hex(n % 10), 12, '0'))::uuid,
       CASE WHEN n % 1000 = 0 THEN '00000000-0000-0000-0000-000000000046'::uuid END,
       CASE WHEN n % 3 = 0 THEN 'sphinx' ELSE 'whisperx' END,
       'recording.mp3',
       CASE WHEN n > :jobs - :active * 2 THEN 'jobs/x/source' END,
       CASE WHEN n > :jobs - :active THEN 'processing'
            WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END,
       '{}', '{}', '[]', now() - (:jobs - n) * interval '20 seconds', 60
FROM generate_series(1, :jobs) n;
INSERT INTO transcript_jobs (id, transcript_id, job_id, engine, created_at, completed_at)
SELECT md5('j' || n)::uuid, md5('t' || n)::uuid, md5('j' || n)::uuid::text,
       (CASE WHEN n % 3 = 0 THEN 'sphinx' ELSE 'whisperx' END)::transcription_engine,
       now() - (:jobs - n) * interval '20 seconds',
       CASE WHEN n <= :jobs - :active THEN now() - (:jobs - n - 5) * interval '20 seconds' END
FROM generate_series(1, :jobs) n;
INSERT INTO job_runs (job_id, status, stage, priority, dispatched_at, lease_until, attempts, epoch,
                      warnings)
SELECT md5('j' || n)::uuid::text,
       CASE WHEN n > :jobs - :active / 2 THEN 'queued' WHEN n > :jobs - :active THEN 'processing'
            WHEN n % 100 = 0 THEN 'failed' ELSE 'completed' END,
       CASE WHEN n > :jobs - :active / 2 THEN 'queued' WHEN n > :jobs - :active THEN 'listen'
            ELSE 'over' END,
       'normal', extract(epoch FROM now()) - n, 0, 0, 0, '[]'
FROM generate_series(1, :jobs) n;
INSERT INTO job_parts (job_id, kind, position, start, "end", state, attempts, lease_until,
                       changed_at)
SELECT md5('j' || n)::uuid::text, 'chunk', p, p * 30, p * 30 + 30,
       CASE WHEN n <= :jobs - :active THEN 'stored'
            WHEN n % 4 = 0 THEN 'waiting' WHEN p = 0 THEN 'stored'
            WHEN p = 1 THEN 'running' ELSE 'waiting' END,
       1, extract(epoch FROM now()) + 600, 0
FROM generate_series(1, :jobs) n, generate_series(0, 2) p WHERE n <= :jobs - :active / 2;
INSERT INTO webhook_deliveries (id, job_id, event, url, payload, state, attempts, next_try_at)
SELECT md5('d' || n)::uuid, md5('j' || n)::uuid::text, 'job.completed', 'https://example.org', '{}',
       'delivered', 1, 0
FROM generate_series(1, :jobs - :active, 10) n;
ANALYZE;
"""


@dataclass
class Plan:
    """What the database did for one query."""

    milliseconds: float
    indexes: set[str]
    #: Tables that were read from one end to the other.
    whole: set[str]


def main() -> None:
    count = _arguments().jobs
    if not settings().database.startswith("postgresql"):
        sys.exit("DATABASE_URL must name an empty PostgreSQL database")
    migrate.upgrade_database()
    with transaction() as session:
        _fill(session, count)
    found = {what: _explained(do) for what, do in QUERIES.items()}
    rows = [
        (what, len(plans), f"{sum(plan.milliseconds for plan in plans):.2f} ms", _told(plans))
        for what, plans in found.items()
    ]
    show(f"queries at {count:,} jobs", ("what", "queries", "time", "by"), rows)
    found.pop(COUNTS)
    if any(plan.whole for plans in found.values() for plan in plans):
        sys.exit("a table was read whole")


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--jobs", type=int, default=JOBS)
    return parser.parse_args()


def _fill(session: Session, count: int) -> None:
    if session.scalar(select(func.count()).select_from(TranscriptJob)):
        return  # filled by an earlier run
    for statement in _FILL.strip().split(";\n"):
        session.execute(text(statement.rstrip(";")), {"jobs": count, "active": ACTIVE})


def _a_page_in_the_middle(session: Session) -> None:
    place = listing.list_transcripts(session, 100, None).next_cursor
    listing.list_transcripts(session, 50, place, owner_id=OWNER)


def _status(of: JobStatus, place: int = 0) -> Callable[[Session], object]:
    """The state of one of the newest jobs; of those at work, one in four waits for its turn."""
    found: list[str] = []

    def show_status(session: Session) -> None:
        if not found:  # by the first call, which is not measured
            rows = listing.list_transcripts(session, 4, None, status=of).rows
            found.append(rows[place].job.job_id)
        job_status.describe_job(session, found[0])

    return show_status


QUERIES: dict[str, Callable[[Session], object]] = {
    "list: newest of all": lambda session: listing.list_transcripts(session, 50, None),
    "list: newest of an owner": lambda session: listing.list_transcripts(
        session, 50, None, owner_id=OWNER
    ),
    "list: a page in the middle": _a_page_in_the_middle,
    "list: of a session": lambda session: listing.list_transcripts(
        session, 50, None, session_id=str(SESSION)
    ),
    "list: of an engine": lambda session: listing.list_transcripts(
        session, 50, None, engine="sphinx"
    ),
    "list: of an engine that has none": lambda session: listing.list_transcripts(
        session, 50, None, engine="asr"
    ),
    "list: failed": lambda session: listing.list_transcripts(
        session, 50, None, status=JobStatus.FAILED
    ),
    "list: queued": lambda session: listing.list_transcripts(
        session, 50, None, status=JobStatus.QUEUED
    ),
    "list: failed, of an owner": lambda session: listing.list_transcripts(
        session, 50, None, owner_id=OWNER, status=JobStatus.FAILED
    ),
    "list: cancelled (none)": lambda session: listing.list_transcripts(
        session, 50, None, owner_id=OWNER, status=JobStatus.CANCELLED
    ),
    "status of a job that waits to be prepared": _status(JobStatus.QUEUED),
    "status of a job that waits for its first chunk": _status(JobStatus.PROCESSING, 0),
    "status of a job that is being heard": _status(JobStatus.PROCESSING, 1),
    "system: jobs by stage": jobs_totals.count_by_stage,
    COUNTS: jobs_totals.compute_totals,
    "housekeeping: abandoned jobs": recovery.find_abandoned,
    "housekeeping: all unfinished jobs": recovery.list_unfinished,
    "housekeeping: recordings to remove": retention.find_expired_audio,
    "housekeeping: who goes on with a job that is over": recovery.find_stale_messages,
    "housekeeping: webhooks to send": lambda session: webhooks.list_due_jobs(session, 100),
}


def _explained(do: Callable[[Session], object]) -> list[Plan]:
    with read_session() as session:
        do(session)  # warm, as it mostly is
        with _caught() as statements:
            do(session)
        connection = session.connection()
        return [
            _plan(
                connection.exec_driver_sql(
                    "EXPLAIN (ANALYZE, FORMAT JSON) " + statement, parameters
                ).scalar_one()[0]
            )
            for statement, parameters in statements
        ]


@contextmanager
def _caught() -> Iterator[list[tuple[str, Any]]]:
    """The statements that are sent while the block lasts."""
    caught: list[tuple[str, Any]] = []

    def catch(_connection: Any, _cursor: Any, statement: str, parameters: Any, *_: Any) -> None:
        caught.append((statement, parameters))

    event.listen(engine(), "before_cursor_execute", catch)
    try:
        yield caught
    finally:
        event.remove(engine(), "before_cursor_execute", catch)


def _plan(explained: dict[str, Any]) -> Plan:
    nodes = list(_nodes(explained["Plan"]))
    return Plan(
        explained["Execution Time"] + explained["Planning Time"],
        {node["Index Name"] for node in nodes if "Index Name" in node},
        {node["Relation Name"] for node in nodes if node["Node Type"].endswith("Seq Scan")},
    )


def _nodes(node: dict[str, Any]) -> Iterator[dict[str, Any]]:
    yield node
    for below in node.get("Plans", ()):
        yield from _nodes(below)


def _told(plans: list[Plan]) -> str:
    whole = sorted(f"**all of {table}**" for plan in plans for table in plan.whole)
    return ", ".join(whole + sorted({name for plan in plans for name in plan.indexes}))


if __name__ == "__main__":
    main()
