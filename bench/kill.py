"""What is lost when a worker is killed: ``python -m bench.kill``.

The only worker of an engine, with all its processes, gets SIGKILL in the middle of a job; the stack
starts another. Counted are seconds until the next chunk is heard, of those since the new worker is
ready, until all chunks are heard that it had in hand, and chunks that were heard twice. The engine
(`bench/standin`) takes a second a chunk.
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
from core.db import reading
from core.models import JobPart
from core.settings import settings
from core.states import PartState
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
        found = _killed(service, recording)
    show(
        f"kill -9 of the only worker, {PROCESSES} processes, a job of {found.chunks} chunks",
        ("until the next worker is ready", "until the next chunk is heard",
         "until all in hand are heard", "in hand", "begun twice"),
        [(f"{found.ready:.1f} s", f"{found.going_on:.1f} s", f"{found.made_up_for:.1f} s",
          found.in_hand, found.twice)],
    )  # fmt: skip
    return Measured(
        [
            Figure(
                "kill -9 of the only worker: until the next chunk is heard",
                f"≤ {GOAL:.0f} s",
                f"{found.going_on:.1f} s, {found.going_on - found.ready:.1f} s of them "
                "since the next worker is ready",
                found.going_on <= GOAL,
                (found.going_on - found.ready) / TAKES,
                f"the engine's time for a chunk, {TAKES:.0f} s, since the next worker is ready",
            ),
            Figure(
                "kill -9 of the only worker: until all that it had in hand is heard",
                f"≤ {GOAL:.0f} s",
                f"{found.made_up_for:.1f} s",
                found.made_up_for <= GOAL,
                found.made_up_for / found.going_on,
                "until the next chunk is heard",
            ),
            Figure(
                "kill -9 of the only worker: chunks done twice",
                "≤ those in hand, none lost",
                f"{found.twice} of {found.in_hand} in hand, {found.lost} lost",
                found.twice <= found.in_hand and not found.lost,
                found.twice / found.in_hand,
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
    made_up_for: float
    twice: int
    lost: int


def _killed(service: Service, recording: Path) -> Killed:
    with Client(service.url) as client:
        job_id = str(client.submit(recording, engine="standin", diarizer="none")["job_id"])
        _until(lambda: _done(job_id) >= HEARD)
        workers = _ready()
        _kill(service)
        began = time.monotonic()
        done, held = _done(job_id), _places(job_id, PartState.RUNNING)
        ready = _until(lambda: _ready() > workers) - began
        going_on = _until(lambda: _done(job_id) > done) - began
        made_up_for = _until(lambda: held <= _places(job_id, PartState.STORED)) - began
        _until(lambda: is_over(client.status(job_id)))
        last = client.status(job_id)
    parts = _parts(job_id)
    return Killed(
        len(parts),
        len(held),
        ready,
        going_on,
        made_up_for,
        sum(part.attempts - 1 for part in parts),
        last["chunks_total"] - last["chunks_done"],
    )


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


def _done(job_id: str) -> int:
    return len(_places(job_id, PartState.STORED))


def _places(job_id: str, state: PartState) -> set[int]:
    """The chunks in that state."""
    return {part.position for part in _parts(job_id) if part.state == state}


def _parts(job_id: str) -> Sequence[JobPart]:
    with reading() as session:
        return session.scalars(select(JobPart).where(JobPart.job_id == job_id)).all()


if __name__ == "__main__":
    sys.exit(main())
