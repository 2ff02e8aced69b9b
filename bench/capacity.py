"""What a large service needs, on paper and in a simulation: ``python -m bench.capacity``.

From what `bench.costs` measured (``out/bench/costs.json``, best with ``DATABASE_URL``) and a load
follow how busy workers, Redis, PostgreSQL and storage are, and how long a chunk waits. The waiting
is calculated for a queue with groups of arrivals and many servers (H. C. Tijms, A First Course in
Stochastic Models, 2003, chapter 9), and checked by simulating the queue chunk by chunk with SimPy.
"""

from __future__ import annotations

import argparse
import json
import math
import random
import statistics
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import simpy

from bench.costs import RESULT
from bench.table import show
from core.jobs.priorities import message_priority
from core.settings import settings
from core.states import Priority
from tasks.queues import list_servable_queues

DAY, HOUR = 86_400.0, 3600.0
#: Bytes a second of a stored chunk: 16 kHz, 16 bit.
SOUND = 32_000.0
#: Times a second of sound goes to storage or from it as chunk, and as shard: written, and read.
TRIPS = 2
#: Seconds of sound that a core decodes and cuts in a second (`bench.prepare`).
PREPARES = 800.0
#: Seconds of the longest recording that is accepted.
LONGEST = settings().max_recording_seconds
#: Chunks that may wait at most, on paper.
LEVELS = 30_000
#: Seconds between two renewals of the leases of a worker.
RENEWAL = settings().lease_seconds / 3


@dataclass(frozen=True, slots=True)
class Load:
    """What comes in, and what there is to hear it."""

    name: str
    #: Jobs a second in the busiest hour.
    rate: float
    workers: int
    #: Seconds of sound that a worker hears in a second.
    speed: float
    #: Seconds of a chunk.
    chunk: float
    #: Seconds of a recording: mean, and deviation by mean, of a log-normal distribution.
    mean: float = 1800.0
    spread: float = 1.5
    #: Whether shards are stored as well.
    diarizes: bool = True
    #: Pool processes that one ``celery worker`` has.
    processes: int = 1

    @property
    def chunks_a_second(self) -> float:
        return self.rate * self.mean / self.chunk

    @property
    def service(self) -> float:
        """Seconds in which a worker hears a chunk."""
        return self.chunk / self.speed

    @property
    def busy(self) -> float:
        """Share of the workers' time that is needed."""
        return self.chunks_a_second * self.service / self.workers


#: Ten thousand jobs a day, with three times the mean rate in the busiest hour; and as many as five
#: hundred workers can hear.
LOADS = (
    Load("10 000 jobs a day, 20 GPUs", 10_000 / DAY * 3, 20, 40.0, 240.0),
    Load("10 000 jobs a day, 2 000 cores", 10_000 / DAY * 3, 2000, 0.4, 30.0, processes=16),
    Load("500 GPUs, 85 % busy", 0.85 * 500 * 40.0 / 1800, 500, 40.0, 240.0),
)


def main(costs: Mapping[str, Mapping[str, float]], chunks: int) -> int:
    """Print the tables; returns 1 when the simulation says otherwise than the paper."""
    for load in LOADS:
        _show_needs(load, costs)
    rows = [_queue_row(load, chunks) for load in LOADS]
    show(
        f"waiting of a chunk: calculated, and simulated with {chunks:,} chunks",
        ("load", "workers busy", "calculated", "simulated", "short jobs (≤ 5 min), p95",
         "long ones (≥ 1 h), p95", "long ones alone, p95"),
        [row[1:] for row in rows],
    )  # fmt: skip
    return 0 if all(row[0] for row in rows) else 1


# ---- on paper -------------------------------------------------------------------------------


def waiting(load: Load) -> float:
    """Seconds that a chunk waits on average.

    Jobs come at random and bring their chunks together, so it is a queue with groups of arrivals
    and many servers. For service times that vary exponentially it is exactly solved by the balance
    of what crosses each level: ``min(n, c) p[n] = rate * sum(p[i] * P(group > n - 1 - i))``. Chunks
    are equally long instead; what that changes is what Allen and Cunneen's rule says.
    """
    larger = _larger_groups(load)
    offered = load.workers * load.busy / _mean_group(larger)
    levels = load.workers + LEVELS
    found = np.zeros(levels)
    found[0] = 1.0
    for n in range(1, levels):
        reach = min(n, len(larger))
        flow = offered * float(found[n - reach : n] @ larger[:reach][::-1])
        found[n] = flow / min(n, load.workers)
        if found[n] > 1e200:  # only proportions matter
            found /= found[n]
    found /= found.sum()
    queue = float(found[load.workers :] @ np.arange(len(found) - load.workers))
    vary = _dispersion(larger)
    return queue / load.chunks_a_second * vary / (vary + 1)


def _larger_groups(load: Load) -> np.ndarray:
    """For 0, 1, 2 ...: the probability that a job has more chunks than that."""
    most = math.ceil(LONGEST / load.chunk)
    sigma = math.sqrt(math.log(1 + load.spread**2))
    middle = math.log(load.mean) - sigma**2 / 2
    normal = statistics.NormalDist(middle, sigma)
    ends = [1.0, *(1 - normal.cdf(math.log(n * load.chunk)) for n in range(1, most))]
    return np.array(ends)


def _mean_group(larger: np.ndarray) -> float:
    return float(larger.sum())


def _dispersion(larger: np.ndarray) -> float:
    """Mean square by mean of the groups: what their arrivals vary by, 1 if chunks came alone."""
    squares = float((larger * (2 * np.arange(len(larger)) + 1)).sum())
    return squares / _mean_group(larger)


def _length(load: Load, chance: random.Random) -> float:
    sigma = math.sqrt(math.log(1 + load.spread**2))
    drawn = chance.lognormvariate(math.log(load.mean) - sigma**2 / 2, sigma)
    return min(drawn, LONGEST)


def needs(load: Load, costs: Mapping[str, Mapping[str, float]]) -> dict[str, tuple[float, str]]:
    """What the load takes of each part, with its unit."""
    chunk, job = costs["chunk"], costs["job"]
    chunks, jobs = load.chunks_a_second, load.rate

    def taken(name: str) -> float:
        return chunks * chunk.get(name, 0.0) + jobs * max(0.0, job.get(name, 0.0))

    # Signs of life, of each worker; the embedded stack has one for each queue.
    mains = load.workers / load.processes
    second = {
        name: count / len(list_servable_queues()) for name, count in costs["idle second"].items()
    }
    renewals = mains / RENEWAL
    share = chunk.get("cpu postgresql", 0.0) / chunk.get("transactions", 1.0)
    sound = load.rate * load.mean * SOUND * TRIPS * (2 if load.diarizes else 1)
    redis_cpu = taken("cpu redis") + mains * second["cpu redis"]
    return {
        "chunks": (chunks, "a second"),
        "Redis: commands": (taken("redis commands") + mains * second["redis commands"], "a second"),
        "Redis: of one core": (100 * redis_cpu, "%"),
        "PostgreSQL: transactions": (taken("transactions") + renewals, "a second"),
        "PostgreSQL: cores": (taken("cpu postgresql") + renewals * share, ""),
        "PostgreSQL: log": (taken("log bytes") / 1e6, "MB a second"),
        "storage: sound": (sound / 1e6, "MB a second"),
        "storage: requests": (chunks * 4 + jobs * 20, "a second"),
        "prepare: cores": (load.rate * load.mean / PREPARES, ""),
        "workers: cores beside the engine": (taken("cpu asr.standin"), ""),
    }


def _show_needs(load: Load, costs: Mapping[str, Mapping[str, float]]) -> None:
    rows = [
        (what, f"{count:,.3g} {unit}" if count < 100 else f"{count:,.0f} {unit}")
        for what, (count, unit) in needs(load, costs).items()
    ]
    show(f"{load.name}: what it takes in the busiest hour", ("of", "needed"), rows)


# ---- simulated ------------------------------------------------------------------------------


@dataclass
class Seen:
    """What happened in a simulation, in seconds."""

    waited: list[float] = field(default_factory=list)
    #: Length of each recording, and how long its job took.
    jobs: list[tuple[float, float]] = field(default_factory=list)

    def slowest(self, among: Callable[[float], bool]) -> float:
        """Seconds that 95 of 100 jobs of some lengths stayed under."""
        taken = [seconds for length, seconds in self.jobs if among(length)]
        return statistics.quantiles(taken, n=20)[-1] if len(taken) > 1 else math.nan


def simulate(load: Load, chunks: int, seed: int = 1) -> Seen:
    """Let jobs come until so many chunks have, and hear them in the order of the real queues."""
    world, seen, chance = simpy.Environment(), Seen(), random.Random(seed)  # noqa: S311
    workers = simpy.PriorityResource(world, load.workers)
    world.process(_arrivals(world, workers, load, seen, chance))
    world.run(chunks / load.chunks_a_second)
    return seen


def _arrivals(
    world: simpy.Environment,
    workers: simpy.PriorityResource,
    load: Load,
    seen: Seen,
    chance: random.Random,
) -> Iterator[simpy.Event]:
    while True:
        yield world.timeout(chance.expovariate(load.rate))
        world.process(_job(world, workers, load, _length(load, chance), seen))


def _job(
    world: simpy.Environment,
    workers: simpy.PriorityResource,
    load: Load,
    length: float,
    seen: Seen,
) -> Iterator[simpy.Event]:
    came = world.now
    begins = [n * load.chunk for n in range(math.ceil(length / load.chunk))]
    yield world.all_of(
        [world.process(_chunk(world, workers, load, begin, length, seen)) for begin in begins]
    )
    seen.jobs.append((length, world.now - came))


def _chunk(
    world: simpy.Environment,
    workers: simpy.PriorityResource,
    load: Load,
    begin: float,
    length: float,
    seen: Seen,
) -> Iterator[simpy.Event]:
    came = world.now
    with workers.request(priority=message_priority(Priority.NORMAL, length)) as turn:
        yield turn
        seen.waited.append(world.now - came)
        yield world.timeout(min(load.chunk, length - begin) / load.speed)


def _queue_row(load: Load, chunks: int) -> tuple[object, ...]:
    seen = simulate(load, chunks)
    paper, seen_waiting = waiting(load), statistics.fmean(seen.waited)
    alone = statistics.quantiles(
        [seconds for seconds in _alone(load, seen) if seconds], n=20
    )[-1]  # fmt: skip
    agrees = abs(paper - seen_waiting) <= max(0.5 * seen_waiting, load.service / 2)
    return (
        agrees,
        load.name,
        f"{load.busy:.0%}",
        f"{paper:.2f} s",
        f"{seen_waiting:.2f} s",
        f"{seen.slowest(lambda length: length <= 300):.0f} s",
        f"{seen.slowest(lambda length: length >= HOUR):.0f} s",
        f"{alone:.0f} s",
    )


def _alone(load: Load, seen: Seen) -> Iterator[float]:
    """How long the long jobs would take if they had all workers for themselves."""
    for length, _ in seen.jobs:
        if length >= HOUR:
            yield math.ceil(length / load.chunk / load.workers) * load.service


def _arguments(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--costs", type=Path, default=RESULT)
    parser.add_argument("--chunks", type=int, default=300_000)
    return parser.parse_args(words)


if __name__ == "__main__":
    given = _arguments()
    sys.exit(main(json.loads(given.costs.read_text()), given.chunks))
