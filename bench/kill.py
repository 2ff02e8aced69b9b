"""What is lost when a worker is killed: ``python -m bench.kill``.

The only worker of an engine, with all its processes, gets SIGKILL: in the middle of a job, and when
nothing is left of one but the chunks that it has in hand. The stack starts another. Counted are
seconds until the next chunk is heard, of those since the new worker is ready, until the last ones
are, and chunks that were heard twice. The engine (`bench/standin`) takes a second a chunk.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import psutil
from sqlalchemy import select

from bench.figures import Figure, Measured, tell
from bench.prepare import make
from bench.service import STANDIN, Service, running
from bench.table import show
from core.db.models import JobPart
from core.db.transactions import read_session
from core.settings import settings
from core.states import PartState, Stage
from transcribe_api.client import Client, is_over

WORKER = "asr.standin"
#: Minutes of the recording, seconds of a chunk, and what the engine takes for one.
MINUTES, CHUNK, TAKES = 6, 5, 1.0
#: Chunks that are heard at once; and that are heard before the worker is killed.
PROCESSES, HEARD = 2, 10
#: Seconds until work goes on.
GOAL = 15.0
PATIENCE = 120.0


def main() -> int:
    """Print the tables; returns 1 when too much is lost."""
    return tell("a worker that is killed", measure())


def measure() -> Measured:
    """The rows of time and of work."""
    environment = {"STANDIN_SECONDS": str(TAKES), "CHUNK_DURATION": str(CHUNK)}
    with (
        tempfile.TemporaryDirectory() as folder,
        running(workers=PROCESSES, PYTHONPATH=STANDIN, **environment) as service,
    ):
        recording = Path(folder) / "recording.mp3"
        make(recording, MINUTES)
        middle = _killed(service, recording, lambda job: job.done >= HEARD)
        end = _killed(service, recording, lambda job: job.done == job.chunks - job.held > 0)
    show(
        f"kill -9 of the only worker, {PROCESSES} processes, jobs of {middle.chunks} chunks",
        ("when", "until the next worker is ready", "until the next chunk is heard",
         "in hand", "begun twice", "lost"),
        [
            (when, f"{one.ready:.1f} s", f"{one.going_on:.1f} s", one.in_hand, one.twice, one.lost)
            for when, one in (("in the middle", middle), ("at the end", end))
        ],
    )  # fmt: skip
    twice, in_hand = middle.twice + end.twice, middle.in_hand + end.in_hand
    lost = middle.lost + end.lost
    return Measured(
        [
            _goes_on("kill -9 of the only worker: until the next chunk is heard", middle),
            _goes_on("the same, where all that is left was in its hands", end),
            Figure(
                "kill -9 of the only worker: chunks done twice",
                "≤ those in hand, none lost",
                f"{twice} of {in_hand} in hand, {lost} lost",
                twice <= in_hand and not lost,
                twice / in_hand,
                "chunks in hand",
            ),
        ]
    )


@dataclass(frozen=True, slots=True)
class Killed:
    """What came of it; seconds since the kill."""

    chunks: int
    in_hand: int
    ready: float
    going_on: float
    twice: int
    lost: int


def _goes_on(what: str, found: Killed) -> Figure:
    return Figure(
        what,
        f"≤ {GOAL:.0f} s",
        f"{found.going_on:.1f} s, {found.going_on - found.ready:.1f} s of them "
        "since the next worker is ready",
        found.going_on <= GOAL,
        (found.going_on - found.ready) / TAKES,
        f"the engine's time for a chunk, {TAKES:.0f} s, since the next worker is ready",
    )


@dataclass(frozen=True, slots=True)
class Job:
    """How far a job is: chunks that there are, that are stored, and that are in hand."""

    chunks: int
    done: int
    held: int


def _killed(service: Service, recording: Path, is_time: Callable[[Job], bool]) -> Killed:
    with Client(service.url) as client:
        job_id = str(client.submit(recording, engine="standin", diarizer="none")["job_id"])
        _until(lambda: _is_cut(client, job_id) and is_time(_job(job_id)))
        workers = _ready()
        _kill(service)
        began = time.monotonic()
        before = _job(job_id)
        ready = _until(lambda: _ready() > workers) - began
        going_on = _until(lambda: _job(job_id).done > before.done) - began
        _until(lambda: is_over(client.status(job_id)))
        last = client.status(job_id)
    return Killed(
        before.chunks,
        before.held,
        ready,
        going_on,
        sum(part.attempts - 1 for part in _parts(job_id)),
        last["chunks_total"] - last["chunks_done"],
    )


def _is_cut(client: Client, job_id: str) -> bool:
    """Whether all its chunks are known."""
    return bool(client.status(job_id)["stage"] == Stage.LISTEN)


def _kill(service: Service) -> None:
    """The worker and the processes of its pool, so that none can finish what it has."""
    [worker] = [one for one in service.stack.children() if f"{WORKER}@%h" in one.cmdline()]
    for process in (worker, *worker.children(recursive=True)):
        process.kill()
    psutil.wait_procs([worker], timeout=PATIENCE)


def _until(is_so: Callable[[], bool]) -> float:
    """Wait for it; gives when that was."""
    deadline = time.monotonic() + PATIENCE
    while not is_so():
        assert time.monotonic() < deadline, "it took too long"
        time.sleep(0.05)
    return time.monotonic()


def _ready() -> int:
    """How often a worker said in its log that it is ready."""
    log = settings().transcribe_data_dir / "logs" / f"{WORKER}.log"
    return log.read_text().count(" ready.")


def _job(job_id: str) -> Job:
    parts = _parts(job_id)
    states = [part.state for part in parts]
    return Job(len(parts), states.count(PartState.STORED), states.count(PartState.RUNNING))


def _parts(job_id: str) -> Sequence[JobPart]:
    with read_session() as session:
        return session.scalars(select(JobPart).where(JobPart.job_id == job_id)).all()


if __name__ == "__main__":
    sys.exit(main())
