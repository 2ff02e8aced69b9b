"""What a chunk costs beside its engine: ``python -m bench.costs``.

Jobs of growing length with an engine that costs nothing (`bench/standin`). A line is laid through
what they cost over the chunks that they have: its slope is the cost of a chunk, and where it begins
that of a job. Counted are processor seconds by worker, statements to the database, commands and
bytes of Redis, objects, and, where ``DATABASE_URL`` names a PostgreSQL, transactions and bytes of
its log. Each job is run three times, and of each count the least is taken: what else runs on the
machine can only add to it. The figures go to ``out/bench/costs.json``, which `bench.capacity`
reads.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from statistics import linear_regression

import psutil
import redis
from sqlalchemy import NullPool, create_engine, text

from bench.figures import Curve, Figure, Measured, tell
from bench.prepare import make, measured
from bench.service import STANDIN, Service, running
from bench.table import show
from core.settings import settings

RESULT = Path("out/bench/costs.json")

#: Minutes of the recordings, and seconds of a chunk: many chunks from little sound.
MINUTES, CHUNK = (4, 20, 40), 5
#: Times that each job is run.
RUNS = 3
#: Milliseconds of processor time that a chunk may cost beside its engine.
GOAL_MS = 10
#: Seconds in which nothing happens, to know what the stack does then.
IDLE = 20.0
#: Seconds that are waited before anything is counted.
DELAY = 1.0
#: Tasks that do nothing, to know what the queue itself costs.
EMPTY = 200

#: Workers of the embedded stack that a job without speakers needs.
_WORKERS = ("asr.standin", "control", "prepare")

_RECORDS = """
SELECT xact_commit, tup_inserted + tup_updated + tup_deleted,
       pg_current_wal_lsn() - '0/0'::pg_lsn, pg_backend_pid()
FROM pg_stat_database WHERE datname = current_database()
"""

#: What is counted, by name.
Counts = Mapping[str, float]


@dataclass(frozen=True, slots=True)
class Job:
    """What was counted while one job ran."""

    chunks: int
    seconds: float
    counts: Counts


def main() -> int:
    """Print what a chunk and a job cost; returns 1 when a chunk costs more than it may."""
    return tell("orchestration", measure())


def measure(lengths: Sequence[int] = MINUTES) -> Measured:
    """Write the costs down, print them; the row of a chunk, and the curve. *lengths*: minutes."""
    found = counted(lengths, runs=RUNS)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(found.costs, indent=1))
    _show(found.costs)
    return Measured([_figure(found.costs["chunk"], found.empty)], [_curve(found)])


@dataclass(frozen=True, slots=True)
class Counted:
    """What was counted over all jobs."""

    #: Of each job, without what would have been counted had there been none, and without the
    #: processor time that it takes to decode, to find speech and to cut: that is the work itself.
    jobs: Sequence[Job]
    idle: Counts
    #: Processor seconds of the worker for a task that does nothing.
    empty: float

    @property
    def costs(self) -> dict[str, dict[str, float]]:
        """Of a chunk, a job and a second in which nothing is done; each by what was counted."""
        lines = {name: _line(self.jobs, name) for name in self.idle}
        return {
            "chunk": {name: slope for name, (slope, _) in lines.items()},
            "job": {name: start for name, (_, start) in lines.items()},
            "idle second": dict(self.idle),
        }


def counted(lengths: Sequence[int] = MINUTES, idle: float = IDLE, runs: int = 1) -> Counted:
    """Run a job for each of so many minutes, after *idle* seconds in which nothing is done."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        statements = folder / "statements"
        recordings = [folder / f"{minutes}.mp3" for minutes in lengths]
        for path, minutes in zip(recordings, lengths, strict=True):
            make(path, minutes)
        bare = [
            min(measured("chunks", path, CHUNK)["cpu"] for _ in range(runs)) for path in recordings
        ]
        environment = {"PYTHONPATH": STANDIN, "STANDIN_STATEMENTS": str(statements)}
        with running(CHUNK_DURATION=str(CHUNK), **environment) as service:
            stack = Watched(service, statements)
            stack.run(recordings[0])  # loads whatever is loaded once
            nothing = stack.idle(idle)
            # One after the other and again, so that a bad minute does not strike one of them alone.
            done = [[stack.run(path) for path in recordings] for _ in range(runs)]
            empty = min(stack.empty(nothing) for _ in range(runs))
    jobs = [
        _least([_own(job, nothing, cpu) for job in same])
        for *same, cpu in zip(*done, bare, strict=True)
    ]
    return Counted(jobs, nothing, empty)


@dataclass(frozen=True, slots=True)
class Watched:
    """A stack of whose doings everything is counted."""

    service: Service
    #: Has a byte for each statement.
    statements: Path

    def idle(self, seconds: float) -> Counts:
        """What is counted in a second in which there is nothing to do."""
        before = self._counts()
        time.sleep(seconds)
        return {name: count / seconds for name, count in _since(before, self._counts()).items()}

    def run(self, recording: Path) -> Job:
        before = self._counts()
        done = self.service.run(recording, engine="standin", diarizer="none")
        return Job(done.chunks, done.seconds, _since(before, self._counts()))

    def empty(self, idle: Counts) -> float:
        """Processor seconds that the worker takes for a task that does nothing."""
        before, began = self._counts(), time.monotonic()
        subprocess.run([sys.executable, "-m", "bench.costs", "empty"], check=True)
        found, seconds = _since(before, self._counts()), time.monotonic() - began
        name = f"cpu {_WORKERS[0]}"
        return (found[name] - seconds * idle[name]) / EMPTY

    def _counts(self) -> Counts:
        """Everything that is counted, since the stack began."""
        # Workers tell what they did with a little delay.
        time.sleep(DELAY)
        sent = {"statements": self.statements.stat().st_size}
        return {**_cpu(self.service.stack), **sent, **_redis(), **_objects(), **_records()}


def send_empty() -> int:
    """Have the worker do nothing, often: with a task of Celery's own that returns what it got.

    In a process of its own, since Celery reads the settings only once.
    """
    from tasks.celery import app

    task = app.signature("celery.accumulate", queue=_WORKERS[0])
    sent = [task.apply_async() for _ in range(EMPTY)]
    for one in sent:
        one.get(timeout=60)
    return 0


def _own(job: Job, idle: Counts, bare: float) -> Job:
    seconds = job.seconds + DELAY
    counts = {name: count - seconds * idle[name] for name, count in job.counts.items()}
    return replace(job, counts={**counts, "cpu prepare": counts["cpu prepare"] - bare})


def _least(jobs: Sequence[Job]) -> Job:
    """Of each count the least, of a job that was run more than once."""
    return Job(
        jobs[0].chunks,
        min(job.seconds for job in jobs),
        {name: min(job.counts[name] for job in jobs) for name in jobs[0].counts},
    )


def _line(jobs: Sequence[Job], name: str) -> tuple[float, float]:
    """The slope of a count over chunks, and what is counted where there is no chunk."""
    return linear_regression([job.chunks for job in jobs], [job.counts[name] for job in jobs])


def _figure(chunk: Counts, empty: float) -> Figure:
    milliseconds = _milliseconds(chunk)
    return Figure(
        "processor time of a chunk beside its engine",
        f"≤ {GOAL_MS} ms",
        f"{milliseconds:.1f} ms, {chunk['statements']:.1f} statements, "
        f"{chunk['redis commands']:.0f} commands of Redis",
        milliseconds <= GOAL_MS,
        milliseconds / (1000 * empty),
        f"a task that does nothing, {1000 * empty:.1f} ms",
    )


def _curve(found: Counted) -> Curve:
    points = [(float(job.chunks), _milliseconds(job.counts) / 1000) for job in found.jobs]
    ideal = [(chunks, chunks * GOAL_MS / 1000) for chunks, _ in points]
    return Curve("cost over chunks", "chunks of a job", "CPU s beside the engine", points, ideal)


def _milliseconds(counts: Counts) -> float:
    return 1000 * sum(counts[f"cpu {name}"] for name in _WORKERS)


def _since(before: Counts, now: Counts) -> Counts:
    return {name: count - before[name] for name, count in now.items()}


def _cpu(stack: psutil.Process) -> Counts:
    found = dict.fromkeys((f"cpu {name}" for name in (*_WORKERS, "redis")), 0.0)
    for process in stack.children():
        words = " ".join(process.cmdline())
        for name in _WORKERS:
            if f" -n {name}@" in words:
                found[f"cpu {name}"] = _used(process)
        if "--unixsocket" in words:
            found["cpu redis"] = _used(process)
    return found


def _used(process: psutil.Process) -> float:
    """Processor seconds of a process and of all that it ever started."""
    mine = process.cpu_times()
    children = sum(_used(one) for one in process.children())
    return float(mine.user + mine.system + mine.children_user + mine.children_system) + children


def _redis() -> Counts:
    with redis.Redis.from_url(settings().redis) as server:
        told: Mapping[str, float] = server.info("stats")
    return {
        "redis commands": told["total_commands_processed"],
        "redis bytes": told["total_net_input_bytes"] + told["total_net_output_bytes"],
    }


def _objects() -> Counts:
    files = [path for path in (settings().objects_dir / "jobs").rglob("*") if path.is_file()]
    return {"objects": len(files), "object bytes": sum(path.stat().st_size for path in files)}


def _records() -> Counts:
    if not settings().database_url:
        return {}
    with create_engine(settings().database, poolclass=NullPool).connect() as connection:
        *counts, pid = connection.execute(text(_RECORDS)).one()
        # Its parent is the server, when that runs on this machine.
        cpu = _used(psutil.Process(pid).parent())
    names = ("transactions", "rows written", "log bytes", "cpu postgresql")
    return dict(zip(names, (*map(float, counts), cpu), strict=True))


def _show(costs: Mapping[str, Counts]) -> None:
    heads = ("counted", *costs)
    names = costs["chunk"]
    show("what a chunk and a job cost, and a second in which nothing is done", heads, [
        (name, *(_text(name, costs[kind][name]) for kind in costs)) for name in names
    ])  # fmt: skip


def _text(name: str, count: float) -> str:
    return f"{1000 * count:.2f} ms" if name.startswith("cpu") else f"{count:.1f}"


if __name__ == "__main__":
    sys.exit(send_empty() if sys.argv[1:] == ["empty"] else main())
