"""What must hold after any fault: each function gives the sentences that say what does not."""

from __future__ import annotations

import fcntl
import hashlib
import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from sqlalchemy import text

from core.db.models import Base
from core.storage import layout
from tests.faults.field import Field

#: Seconds in which everything that is left over must be gone: a late twin may have to end first.
PATIENCE = 30

#: Keys that tell of workers and queues, not of jobs. What a killed worker had in hand is kept by
#: the library until the visibility timeout is over; then it comes again, and nothing comes of it.
_OF_WORKERS = ("transcribe:serving:", "transcribe:fleet:", "_kombu.binding.", "unacked")


@dataclass(frozen=True)
class Undisturbed:
    """What a job comes to when nothing happens."""

    segments: list[Any]
    #: Hashes by name.
    objects: dict[str, str]
    parts: int


@dataclass(frozen=True)
class Told:
    """A job and what should become of it."""

    job_id: str
    wanted: Undisturbed


Invariant = Callable[[Field, Told], Iterator[str]]


def seen(field: Field, job_id: str) -> Undisturbed:
    """What a job has come to."""
    return Undisturbed(
        field.result(job_id).get("segments", []),
        _objects(field, job_id),
        _one(field, "SELECT count(*) FROM job_parts WHERE job_id = :job", job_id),
    )


def broken(field: Field, jobs: list[Told]) -> list[str]:
    """What does not hold of jobs that are over, once it has had time to settle."""
    return _settled(lambda: [one for job in jobs for rule in OF_A_JOB for one in rule(field, job)])


def left_over(field: Field, before: set[str]) -> list[str]:
    """What is there although every job has been deleted, and was not before the first one."""
    return _settled(lambda: sorted(present(field) - before))


def present(field: Field) -> set[str]:
    """Everything that grows with jobs: rows, objects, keys, files, processes."""
    return {*_rows(field), *_stored(field), *_keys(field), *_files(field), *field.fleet.strays()}


def _settled(look: Callable[[], list[str]]) -> list[str]:
    deadline = time.monotonic() + PATIENCE
    while (found := look()) and time.monotonic() < deadline:
        time.sleep(0.2)
    return found


def _ended_once(field: Field, job: Told) -> Iterator[str]:
    """It is completed, and the one webhook that says so was delivered."""
    if (told := field.result(job.job_id)).get("status") != "completed":
        yield f"the job is {told.get('status')}: {told.get('error') or told.get('detail')}"
    for warning in told.get("warnings", ()):
        yield f"warning: {warning}"
    sent = [one for one in field.receiver.requests if job.job_id.encode() in one.body]
    if len({one.headers["webhook-id"] for one in sent}) != 1:
        yield f"{len(sent)} webhooks of {job.job_id} came"
    if rows := _one(
        field,
        "SELECT count(*) FROM webhook_deliveries WHERE job_id = :job AND state != 'delivered'",
        job.job_id,
    ):
        yield f"{rows} webhooks are not settled"


def _says_the_same(field: Field, job: Told) -> Iterator[str]:
    """Every word, time and speaker is the one of an undisturbed run."""
    segments = field.result(job.job_id).get("segments", [])
    if segments != job.wanted.segments:
        wanted = job.wanted.segments
        differing = [one for one in segments if one not in wanted]
        yield f"{len(segments)} segments instead of {len(wanted)}, {len(differing)} other ones"


def _kept_the_same(field: Field, job: Told) -> Iterator[str]:
    """Every object is there, with the bytes of an undisturbed run, and no other."""
    objects = _objects(field, job.job_id)
    for name in sorted(objects.keys() | job.wanted.objects.keys()):
        if objects.get(name) != job.wanted.objects.get(name):
            what = "differs" if name in objects and name in job.wanted.objects else (
                "is left over" if name in objects else "is missing"
            )  # fmt: skip
            yield f"object {name} {what}"


def _holds_nothing(field: Field, job: Told) -> Iterator[str]:
    """No lease lives, and every part is stored once."""
    rows = "SELECT count(*) FROM job_parts WHERE job_id = :job"
    if (parts := _one(field, rows, job.job_id)) != job.wanted.parts:
        yield f"{parts} parts instead of {job.wanted.parts}"
    if held := _one(field, f"{rows} AND (state != 'stored' OR lease_until > 0)", job.job_id):
        yield f"{held} parts are not stored, or leased"
    runs = "SELECT count(*) FROM job_runs WHERE job_id = :job"
    if _one(field, f"{runs} AND (owner IS NOT NULL OR lease_until > 0)", job.job_id):
        yield "the job is leased"


OF_A_JOB: tuple[Invariant, ...] = (_ended_once, _says_the_same, _kept_the_same, _holds_nothing)


def _rows(field: Field) -> Iterator[str]:
    with field.records.connect() as connection:
        for table in Base.metadata.tables:
            if rows := connection.scalar(text(f"SELECT count(*) FROM {table}")):
                yield f"{rows} rows in {table}"
        open_ = "SELECT count(*) FROM pg_stat_activity WHERE state LIKE 'idle in transaction%'"
        if field.records.dialect.name == "postgresql" and (rows := connection.scalar(text(open_))):
            yield f"{rows} transactions are open"


def _stored(field: Field) -> Iterator[str]:
    for key in field.objects.list_keys(""):
        yield f"object {key}"
    listed = field.objects._client.list_multipart_uploads(Bucket=field.objects._bucket)
    for upload in listed.get("Uploads", ()):
        yield f"half-written object {upload['Key']}"


def _keys(field: Field) -> Iterator[str]:
    """What Redis holds, but for what workers say of themselves and what goes by itself."""
    for key in field.memory.scan_iter("*"):
        if not key.startswith(_OF_WORKERS) and field.memory.ttl(key) == -1:
            yield f"key {key}"


def _files(field: Field) -> Iterator[str]:
    for path in field.scratch.glob("*"):
        yield f"file {path.relative_to(field.folder)}"
    for path in (field.folder / "tmp").glob("*"):
        if not _is_in_use(path):
            yield f"file {path.relative_to(field.folder)}"


def _is_in_use(folder: Path) -> bool:
    lock = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(lock)
    return False


def _objects(field: Field, job_id: str) -> dict[str, str]:
    root = layout.job_prefix(job_id)
    return {
        key.removeprefix(root): hashlib.sha256(field.objects.get_bytes(key)).hexdigest()
        for key in field.objects.list_keys(root)
    }


def _one(field: Field, query: str, job_id: str) -> int:
    with field.records.connect() as connection:
        return int(connection.scalar(text(query), {"job": job_id}) or 0)
