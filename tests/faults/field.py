"""The field on which the jobs run and the faults strike: servers, fleet, recordings, diary."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
import uuid
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import httpx2
import redis
from celery import Celery
from sqlalchemy import Engine

from core.db.transactions import build_engine
from core.settings import Settings
from core.storage.s3 import S3Storage
from tests.conftest import ROOT
from tests.faults import disk, proxy, recordings
from tests.faults.clock import Clock
from tests.faults.disk import Disk
from tests.faults.fleet import Fleet
from tests.faults.proxy import Proxy
from tests.integration.conftest import clean_environment
from tests.receiver import Receiver, listening
from tests.services.servers import Postgres, Redis

JOBS = "/api/transcribe/jobs"
#: Seconds that the engine takes for a chunk of CHUNK seconds.
WORK, CHUNK = 0.7, 5
#: Megabytes: an hour of sound as it came, unpacked, and on its way.
SCRATCH = 400
#: Seconds that a worker which is told to end has for what it has in hand: less than a chunk takes.
GRACE = 0.3
#: Seconds of a lease: short, so that recovery does not take most of the time.
LEASE = 3


@dataclass(frozen=True)
class Asked:
    """A job that is asked for again and again: its recording, and what else it says."""

    recording: str
    form: tuple[tuple[str, str], ...]


#: Two at a time, which must not get into each other's way.
ASKED = (
    Asked("meeting.wav", (("engine", "echo"), ("diarizer", "echo"))),
    Asked("note.wav", (("engine", "echo"), ("diarizer", "none"))),
)


@dataclass
class Field:
    """What a fault may strike, and a check may look at."""

    folder: Path
    fleet: Fleet
    postgres: Postgres
    redis: Redis
    store: Proxy
    receiver: Receiver
    settings: Settings
    disk: Disk
    clock: Clock

    @property
    def diary(self) -> Path:
        return self.folder / "diary.jsonl"

    @property
    def scratch(self) -> Path:
        return self.folder / "scratch"

    @cached_property
    def records(self) -> Engine:
        return build_engine(self.settings.database)

    @cached_property
    def objects(self) -> S3Storage:
        return S3Storage.from_settings(self.settings)

    def clean_up(self) -> None:
        """Have done now what beat asks for every ten minutes."""
        with Celery(broker=self.settings.broker) as app:
            app.send_task("clean_up", queue="control", ignore_result=True)

    @cached_property
    def memory(self) -> redis.Redis:
        return redis.Redis.from_url(self.settings.redis, decode_responses=True)

    def submit(self, asked: Asked) -> str:
        """Ask for a job until it is accepted, once, as a careful caller would."""
        headers = {"Idempotency-Key": str(uuid.uuid4())}
        form = {**dict(asked.form), "callback_url": f"{self.receiver.url}/told"}
        for _ in range(600):
            try:
                with (self.folder / asked.recording).open("rb") as file:
                    answer = httpx2.post(
                        f"{self.fleet.url}{JOBS}/transcribe",
                        data=form, files={"file": file}, headers=headers, timeout=90,
                    )  # fmt: skip
            except httpx2.TransportError:
                time.sleep(0.1)
                continue
            if answer.status_code == 202:
                return str(answer.json()["job_id"])
            assert answer.status_code == 503, answer.text
            time.sleep(0.2)
        raise AssertionError("the job was never accepted")

    def result(self, job_id: str) -> dict[str, Any]:
        answer = httpx2.get(f"{self.fleet.url}{JOBS}/result/{job_id}", timeout=30)
        return dict(answer.json())

    def delete(self, job_id: str) -> None:
        answer = httpx2.delete(f"{self.fleet.url}{JOBS}/{job_id}", timeout=30)
        assert answer.status_code == 204, answer.text

    def hearings(self, since: float = 0.0) -> list[dict[str, Any]]:
        """What the engine has begun to hear since then, by the monotonic clock."""
        lines = self.diary.read_text().splitlines() if self.diary.exists() else []
        return [told for told in map(json.loads, lines) if told["at"] >= since]


@contextmanager
def prepared(
    folder: Path, postgres: Postgres, memory: Redis, s3: dict[str, str]
) -> Iterator[Field]:
    """A fleet on these servers, with its recordings."""
    with ExitStack() as stack:
        store = stack.enter_context(proxy.before(s3["MINIO_ENDPOINT"]))
        receiver = stack.enter_context(listening())
        room = stack.enter_context(disk.small(folder / "scratch", megabytes=SCRATCH))
        clock = Clock(folder)
        now = {
            **s3,
            **memory.settings,
            "MINIO_ENDPOINT": store.address,
            "MINIO_BUCKET_NAME": f"faults-{uuid.uuid4().hex[:8]}",
            "DATABASE_URL": postgres.new_database(),
            "TRANSCRIBE_DATA_DIR": str(folder),
            "LEASE_SECONDS": str(LEASE),
            "CHUNK_DURATION": str(CHUNK),
            "SHUTDOWN_SECONDS": str(GRACE),
            "OUTGOING_ALLOW": "127.0.0.0/8",
            "SUBMIT_LIMIT_PER_MINUTE": "0",
            "RATE_LIMIT_PER_MINUTE": "0",
        }
        _migrate(_environment(folder, now))
        recordings.write(folder / "meeting.wav", sample=20, times=3)
        recordings.write(folder / "note.wav", sample=13, times=2)
        recordings.write(folder / "talk.wav", times=3)
        recordings.write(folder / "hour.wav", times=33)
        fleet = stack.enter_context(Fleet(folder, _environment(folder, now) | clock.environment))
        values = {name.lower(): value for name, value in now.items()}
        yield Field(
            folder, fleet, postgres, memory, store, receiver,
            Settings(_env_file=None, **values), room, clock,
        )  # fmt: skip


def _environment(folder: Path, settings: dict[str, str]) -> dict[str, str]:
    path = [str(ROOT / "tests" / "faults" / "plugin"), str(ROOT)]
    return clean_environment(
        **settings,
        PYTHONPATH=os.pathsep.join(path),
        OMP_NUM_THREADS="1",
        ECHO_SECONDS=str(WORK),
        ECHO_DIARY=str(folder / "diary.jsonl"),
    )


def _migrate(environment: dict[str, str]) -> None:
    """With the engine installed, so that the database is told of it."""
    subprocess.run(
        [sys.executable, "-c", "from core.db import migrate; migrate.upgrade_database()"],
        env=environment, cwd=ROOT, check=True,
    )  # fmt: skip
