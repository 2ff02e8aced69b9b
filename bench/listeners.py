"""How late listeners hear: ``python -m bench.listeners``.

One process of the service, jobs, and listeners spread over them. The delay of an event is counted
from when this program, which subscribes to Redis itself, hears of it. Once with jobs that are
worked on, so that listening and transcribing share the cores; once with events that are made up.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
import tempfile
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
import redis.asyncio

from bench.figures import Figure, Measured, tell
from bench.service import Service, running
from bench.table import show
from chunking.decode import decoder
from chunking.pcm import new_wav
from core.settings import settings
from tasks.reporting import progress
from transcribe_api.client import Client

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "conversation.flac"
LISTENERS, JOBS = 500, 20
#: Made-up events: so many of each kind a job, so many seconds apart.
EVENTS, APART = 30, 1.0
#: Seconds of the recording that is really worked on.
RECORDING = 30
#: Seconds that an event may be late, for 95 of 100.
GOAL = 0.25
#: Listeners that connect at the same time.
AT_ONCE = 50
#: Longest line of a stream.
LINE = 1024 * 1024


@dataclass
class Seen:
    """What was heard, and when."""

    #: Of each listener: its job; what it was sent, and when.
    heard: list[tuple[str, dict[bytes, float]]]
    #: By job and what Redis told of it: when it was first heard here.
    told: dict[tuple[str, bytes], float] = field(default_factory=dict)
    #: Seconds that a request took meanwhile.
    requests: list[float] = field(default_factory=list)
    #: When the last listener had come.
    since: float = 0.0

    def delays(self) -> list[float]:
        """Of what all could hear at once."""
        return [
            at - self.told[(job_id, what)]
            for job_id, events in self.heard
            for what, at in events.items()
            if self.told.get((job_id, what), 0.0) > self.since
        ]


def main(listeners: int = LISTENERS, jobs: int = JOBS) -> int:
    """Print the tables; returns 1 when listeners missed something, or heard it late."""
    return tell("listeners", measure(listeners, jobs))


def measure(listeners: int = LISTENERS, jobs: int = JOBS) -> Measured:
    """A row for each kind of load."""
    rows, figures = [], []
    for what, go in (("made-up events", _made_up), ("PocketSphinx at work", _at_work)):
        with running(CHUNK_DURATION="5", MIN_SILENCE_DURATION="0.1") as service:
            row, missed, late = asyncio.run(_measured(service, go, listeners, jobs))
        rows.append((what, listeners, *row))
        figures.append(
            Figure(
                f"{listeners} listeners on one process, {what}",
                f"95 % within {1000 * GOAL:.0f} ms, none missed",
                f"{1000 * late:.0f} ms, {missed} missed",
                late <= GOAL and not missed,
            )
        )
    show(
        f"listeners: seconds from Redis to the listener (goal: 95 % in {GOAL})",
        ("load", "listeners", "events sent", "missed", "p50", "p95", "p99",
         "memory before", "with all listeners", "at the end", "a request meanwhile, p95"),
        rows,
    )  # fmt: skip
    return Measured(figures)


Going = Callable[[Sequence[str]], Awaitable[None]]


async def _measured(
    service: Service, go: Going, listeners: int, jobs: int
) -> tuple[tuple[object, ...], int, float]:
    before = service.memory_mb
    ids = _submitted(service, jobs, engine="sphinx" if go is _at_work else "whisperx")
    seen = Seen(heard=[(ids[n % jobs], {}) for n in range(listeners)])
    gate, connected = asyncio.Semaphore(AT_ONCE), asyncio.Barrier(listeners + 1)
    streams = [
        asyncio.create_task(_listen(service.url, job_id, events, gate, connected))
        for job_id, events in seen.heard
    ]
    others = [asyncio.create_task(_watch(seen)), asyncio.create_task(_ask(service.url, seen))]
    await asyncio.wait_for(connected.wait(), 120)
    seen.since = time.monotonic()
    idle = service.memory_mb
    await go(ids)
    await asyncio.wait_for(asyncio.gather(*streams), 900)
    for other in others:
        other.cancel()
    missed = sum(_missed(events) for _, events in seen.heard)
    delays = seen.delays()
    memory = (f"{mb:.0f} MB" for mb in (before, idle, service.memory_mb))
    return (len(delays), missed, *_percentiles(delays, 50, 95, 99), *memory,
            *_percentiles(seen.requests, 95)), missed, _percentile(delays, 95)  # fmt: skip


def _submitted(service: Service, jobs: int, engine: str) -> list[str]:
    with Client(service.url) as client, _recording() as path:
        return [
            str(client.submit(path, engine=engine, diarizer="none", language="en")["job_id"])
            for _ in range(jobs)
        ]


@contextmanager
def _recording() -> Iterator[Path]:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "part.wav"
        with decoder.stream(SAMPLE) as stream, new_wav(path) as target:
            target.writeframes(b"".join(stream)[: RECORDING * 2 * decoder.SAMPLE_RATE])
        yield path


async def _listen(
    url: str,
    job_id: str,
    heard: dict[bytes, float],
    gate: asyncio.Semaphore,
    connected: asyncio.Barrier,
) -> None:
    """Write down every event of a job until it is over."""
    address = urlsplit(url)
    async with gate:
        reader, writer = await asyncio.open_connection(address.hostname, address.port, limit=LINE)
        path = f"/api/transcribe/jobs/stream/{job_id}"
        writer.write(f"GET {path} HTTP/1.1\r\nHost: {address.netloc}\r\n\r\n".encode())
        event = await _next_event(reader)
    heard[event] = time.monotonic()
    await connected.wait()
    while not _is_last(event):
        event = await _next_event(reader)
        heard.setdefault(event, time.monotonic())  # a state may be told again
    writer.close()


async def _next_event(reader: asyncio.StreamReader) -> bytes:
    while line := await reader.readline():
        if line.startswith(b"data: "):
            return line[6:].rstrip()
    raise EOFError("a stream ended before its job")


def _is_last(event: bytes) -> bool:
    return b'"status": "completed"' in event or b'"status": "cancelled"' in event


async def _watch(seen: Seen) -> None:
    """Hear what the service hears, when it does."""
    connection = redis.asyncio.Redis.from_url(settings().redis, socket_timeout=None)
    async with connection, connection.pubsub(ignore_subscribe_messages=True) as channel:
        await channel.psubscribe(progress.status_channel("*"), progress.segments_channel("*"))
        async for message in channel.listen():
            job_id = message["channel"].decode().rpartition(":")[2]
            seen.told.setdefault((job_id, message["data"]), time.monotonic())


async def _ask(url: str, seen: Seen) -> None:
    """Ask for something else now and then, as others do who use the service."""
    async with httpx2.AsyncClient(base_url=url) as client:
        while True:
            begun = time.monotonic()
            await client.get("/api/transcribe/jobs?limit=1")
            seen.requests.append(time.monotonic() - begun)
            await asyncio.sleep(0.5)


async def _at_work(_: Sequence[str]) -> None:
    """The workers are at it already."""


async def _made_up(ids: Sequence[str]) -> None:
    """Tell of jobs that nobody works on as workers do, one after the other."""
    async with redis.asyncio.Redis.from_url(settings().redis) as server:
        for number in range(EVENTS):
            for job_id in ids:
                await server.publish(progress.segments_channel(job_id), _segment(number))
                await server.publish(progress.status_channel(job_id), _state(job_id, number))
                await asyncio.sleep(APART / len(ids))
        for job_id in ids:
            await server.publish(progress.status_channel(job_id), _state(job_id, EVENTS))


def _segment(number: int) -> str:
    """Thirty seconds of speech."""
    words = [
        {"word": f"word{n}", "start": n * 0.4, "end": n * 0.4 + 0.3, "confidence": 0.9}
        for n in range(75)
    ]
    text = " ".join(str(word["word"]) for word in words)
    return json.dumps({"chunk": number, "start": 0.0, "end": 30.0, "text": text, "words": words})


def _state(job_id: str, number: int) -> str:
    return json.dumps(
        {
            "job_id": job_id,
            "status": "completed" if number == EVENTS else "processing",
            "progress": 100 * number // EVENTS,
            "chunks_done": 0,
            "chunks_total": EVENTS,
            "message": "Transcribing with PocketSphinx",
            "told": number,
        }
    )


def _missed(events: dict[bytes, float]) -> int:
    """How many chunks of its job a listener was not told."""
    told = [json.loads(event) for event in events]
    last = told[-1]
    chunks = {one["chunk"] for one in told if "chunk" in one}
    return len(set(range(last["chunks_total"])) - chunks)


def _percentiles(seconds: Sequence[float], *wanted: int) -> list[str]:
    return [f"{1000 * _percentile(seconds, percent):.0f} ms" for percent in wanted]


def _percentile(seconds: Sequence[float], wanted: int) -> float:
    return statistics.quantiles(seconds, n=100)[wanted - 1]


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--listeners", type=int, default=LISTENERS)
    parser.add_argument("--jobs", type=int, default=JOBS)
    return parser.parse_args()


if __name__ == "__main__":
    asked = _arguments()
    sys.exit(main(asked.listeners, asked.jobs))
