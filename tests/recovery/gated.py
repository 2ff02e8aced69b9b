"""A stack with an engine that a test can hold up, to see in which order chunks are begun."""

from __future__ import annotations

import json
import re
import sqlite3
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import psutil
import redis

from tests.integration.conftest import SAMPLE, RunningStack, command_of, started, wait_until
from tests.killing import kill_processes
from tests.packages import ENGINES, install, path_with
from tests.recovery import gated_engine
from transcribe_api.client import Client

#: Chunks that are in hand at once.
PROCESSES = 2
QUEUE = gated_engine.SPEC.queue
#: Chunks that are heard before something happens: see `in_the_middle`.
HEARD = 7


@dataclass(frozen=True)
class Gate:
    """What holds the engine up, and what it has told."""

    folder: Path

    def close(self, after: int = 0) -> None:
        """To all chunks of a job but so many first ones."""
        written = self.folder / "closing"
        written.write_text(str(after))
        written.rename(self.folder / "closed")

    def open(self) -> None:
        (self.folder / "closed").unlink()

    @contextmanager
    def wordy(self, times: int) -> Iterator[None]:
        """Each chunk has its word so many times, for as long as the block lasts."""
        (self.folder / "wordy").write_text(str(times))
        yield
        (self.folder / "wordy").unlink()

    def begun(self) -> list[str]:
        """The job of each chunk, in the order in which workers began with them."""
        told = self.folder / "begun"
        return [line.split()[0] for line in told.read_text().splitlines()] if told.exists() else []

    def wait_until_in_hand(self, job_id: str, after: int = 0) -> None:
        """Until every process holds a chunk of a job of which so many were let through."""
        wait_until(lambda: self.begun().count(job_id) == after + PROCESSES)


@dataclass(frozen=True)
class GatedStack:
    """A stack, its gate and what lies in its queues."""

    stack: RunningStack
    gate: Gate

    def redis(self) -> redis.Redis:
        return redis.Redis.from_url(f"unix://{self.stack.data_dir / 'redis.sock'}")

    def waiting(self, priority: int) -> int:
        """Chunks that wait with a priority of the broker's."""
        with self.redis() as server:
            return int(server.llen(f"{QUEUE}:{priority}" if priority else QUEUE))

    def messages(self, job_id: str) -> Counter[str]:
        """How many messages each chunk of a job has: those that wait, and those in hand."""
        lists = [f"{QUEUE}:{priority}" if priority else QUEUE for priority in range(10)]
        with self.redis() as server, server.pipeline(transaction=True) as pipe:
            for name in lists:
                pipe.lrange(name, 0, -1)
            *waiting, held = pipe.hvals("unacked").execute()
        found = [json.loads(one) for one in chain(*waiting)] + [json.loads(one)[0] for one in held]
        headers = [one["headers"] for one in found]
        return Counter(
            str(one["argsrepr"])
            for one in headers
            if one["task"] == "transcribe_chunk" and one["job_id"] == job_id
        )

    def wait_for_housekeeping(self, times: int = 3) -> None:
        """Until it has looked so many times more what is to be sent again."""
        log = self.stack.data_dir / "logs" / "control.log"
        line = re.compile(r"Task housekeeping\[\S+\] succeeded")
        before = len(line.findall(log.read_text()))
        wait_until(lambda: len(line.findall(log.read_text())) >= before + times)

    def workers(self, name: str) -> list[psutil.Process]:
        """Those whose name ends so, with the processes of their pools."""
        found = [one for one in self.stack.processes() if f"{name}@%h" in " ".join(command_of(one))]
        return [*found, *(child for one in found for child in one.children(recursive=True))]

    def attempts(self, job_id: str) -> list[int]:
        """How often a worker began with each chunk."""
        with closing(sqlite3.connect(self.stack.data_dir / "transcribe.db")) as records:
            query = "SELECT attempts FROM job_parts WHERE job_id = ?"
            return [attempts for (attempts,) in records.execute(query, (job_id,))]


@contextmanager
def gated_stack(folder: Path, **settings: str) -> Iterator[GatedStack]:
    """Chunks are short, so a recording has many, unless *settings* differ; the gate is open."""
    gate, packages = Gate(folder / "gate"), folder / "packages"
    gate.folder.mkdir(exist_ok=True)
    code = Path(str(gated_engine.__file__)).read_text()
    install(packages, "gated_engine", code, {"gated": "gated_engine:SPEC"}, ENGINES)
    short = {"CHUNK_DURATION": "5", "MIN_SILENCE_DURATION": "0.1"}
    ours = {"GATE": str(gate.folder), "PYTHONPATH": path_with(packages)}
    workers = ("--workers", str(PROCESSES))
    with started(folder / "data", *workers, **{**short, **ours, **settings}) as stack:
        yield GatedStack(stack, gate)


def submit(client: Client) -> str:
    return str(client.submit(SAMPLE, engine="gated", diarizer="none")["job_id"])


def heard(client: Client, job_id: str) -> list[str]:
    wait_until(lambda: client.status(job_id)["status"] not in ("queued", "processing"))
    told = client.result(job_id)
    assert not any(warning["retryable"] for warning in told["warnings"])
    return [segment["text"] for segment in told["segments"]]


def killed_in_the_middle(
    here: GatedStack, client: Client, which: str, expected: Sequence[str]
) -> None:
    """Workers are killed in the middle of a job; only what was in hand is done again."""
    job_id = in_the_middle(here, client)
    kill_processes(here.workers(which))
    here.gate.open()
    assert heard(client, job_id) == expected
    assert sum(attempts := here.attempts(job_id)) - len(attempts) <= PROCESSES


def in_the_middle(here: GatedStack, client: Client) -> str:
    """A job of which some chunks are heard, every process has one in hand, and others wait."""
    here.gate.close(after=HEARD)
    job_id = submit(client)
    here.gate.wait_until_in_hand(job_id, after=HEARD)
    wait_until(lambda: client.status(job_id)["chunks_done"] == HEARD)
    assert client.status(job_id)["chunks_total"] > HEARD + 2 * PROCESSES
    return job_id
