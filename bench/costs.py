"""What a chunk costs beside its engine: ``python -m bench.costs``.

Jobs with an engine that costs nothing (`bench/standin`), a short one and a long one: what the long
one costs more, divided by the chunks that it has more, is the cost of a chunk; what is left is that
of a job. Counted are processor seconds by worker, commands and bytes of Redis, objects, and, where
``DATABASE_URL`` names a PostgreSQL, transactions and bytes of its log. The figures go to
``out/bench/costs.json``, which `bench.capacity` reads.
"""

from __future__ import annotations

import json
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil
import redis
from sqlalchemy import NullPool, create_engine, text

from bench.figures import Figure, Measured, tell
from bench.prepare import make, measured
from bench.service import STANDIN, Service, running
from bench.table import show
from core.settings import settings

RESULT = Path("out/bench/costs.json")

#: Minutes of the two recordings, and seconds of a chunk: many chunks from little sound.
SHORT, LONG, CHUNK = 4, 40, 5
#: Milliseconds of processor time that a chunk may cost beside its engine.
GOAL_MS = 10
#: Seconds in which nothing happens, to know what the stack does then.
IDLE = 20

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


def measure(long: int = LONG) -> Measured:
    """Write the costs down, print them, and give the row of a chunk. *long*: minutes."""
    costs = counted(long)
    RESULT.parent.mkdir(parents=True, exist_ok=True)
    RESULT.write_text(json.dumps(costs, indent=1))
    _show(costs)
    return Measured([_figure(costs["chunk"])])


def counted(long: int = LONG) -> dict[str, dict[str, float]]:
    """By kind (a chunk, a job, a second in which nothing is done) and by what was counted."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running(PYTHONPATH=STANDIN, CHUNK_DURATION=str(CHUNK)) as service,
    ):
        recordings = [Path(folder) / f"{minutes}.mp3" for minutes in (SHORT, long)]
        for path, minutes in zip(recordings, (SHORT, long), strict=True):
            make(path, minutes)
        _run(service, recordings[0])  # loads whatever is loaded once
        idle = _idle(service)
        jobs = [_run(service, path) for path in recordings]
        bare = [measured("chunks", path, CHUNK)["cpu"] for path in recordings]
    return _costs(jobs[0], jobs[1], idle, bare[1] - bare[0])


def _idle(service: Service) -> Counts:
    """What is counted in a second in which there is nothing to do."""
    before = _counts(service)
    time.sleep(IDLE)
    return {name: count / IDLE for name, count in _since(before, _counts(service)).items()}


def _run(service: Service, recording: Path) -> Job:
    before = _counts(service)
    done = service.run(recording, engine="standin", diarizer="none")
    return Job(done.chunks, done.seconds, _since(before, _counts(service)))


def _costs(short: Job, long: Job, idle: Counts, bare: float) -> dict[str, dict[str, float]]:
    own = [_without_idle(job, idle) for job in (short, long)]
    more = long.chunks - short.chunks
    chunk = {name: (own[1][name] - own[0][name]) / more for name in idle}
    # To decode, to find speech and to cut is the work itself, and not what is around it.
    chunk["cpu prepare"] -= bare / more
    job = {name: own[0][name] - short.chunks * chunk[name] for name in idle}
    return {"chunk": chunk, "job": job, "idle second": dict(idle)}


def _without_idle(job: Job, idle: Counts) -> Counts:
    return {name: count - job.seconds * idle[name] for name, count in job.counts.items()}


def _figure(chunk: Counts) -> Figure:
    milliseconds = 1000 * sum(chunk[f"cpu {name}"] for name in _WORKERS)
    return Figure(
        "processor time of a chunk beside its engine",
        f"≤ {GOAL_MS} ms",
        f"{milliseconds:.1f} ms",
        milliseconds <= GOAL_MS,
    )


def _counts(service: Service) -> Counts:
    """Everything that is counted, since the stack began."""
    # Workers tell what they did with a little delay.
    time.sleep(1)
    stack = service.process.parent().parent()
    return {**_cpu(stack), **_redis(), **_objects(), **_records()}


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
    sys.exit(main())
