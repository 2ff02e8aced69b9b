"""The paper and the simulation behind docs/scaling.md."""

from __future__ import annotations

import statistics

import pytest

from bench.capacity import DAY, Load, needs, simulate, waiting


def load(*, workers: int, busy: float, chunks: float = 1.0, spread: float = 1e-3) -> Load:
    """Workers that take 10 s for a chunk; jobs of so many chunks on average."""
    rate = busy * workers / 10.0 / chunks
    return Load("a load", rate, workers, 3.0, 30.0, mean=30.0 * chunks - 0.1, spread=spread)


def test_one_worker_and_chunks_that_come_alone_wait_as_in_textbooks():
    # M/D/1: half of busy / (1 - busy) times the service.
    assert waiting(load(workers=1, busy=0.5)) == pytest.approx(5.0, rel=0.05)
    assert waiting(load(workers=1, busy=0.8)) == pytest.approx(20.0, rel=0.05)


def test_more_workers_wait_less_and_longer_jobs_more():
    few, many = load(workers=2, busy=0.8), load(workers=20, busy=0.8)
    assert waiting(many) < waiting(few)
    together = load(workers=20, busy=0.8, chunks=40.0, spread=0.5)
    assert waiting(together) > waiting(many)


@pytest.mark.parametrize(
    "one",
    [
        load(workers=1, busy=0.7),
        load(workers=8, busy=0.8, chunks=20.0, spread=1.0),
    ],
    ids=["one worker", "long jobs"],
)
def test_paper_and_simulation_agree(one: Load):
    simulated = statistics.fmean(simulate(one, chunks=60_000, seed=5).waited)
    assert waiting(one) == pytest.approx(simulated, rel=0.3)


def test_every_chunk_that_came_was_heard():
    seen = simulate(load(workers=4, busy=0.5, chunks=10.0, spread=0.5), chunks=2000)
    assert len(seen.waited) >= 1500
    assert all(seconds >= length / 3.0 - 1e-6 for length, seconds in seen.jobs if length <= 30)


def test_what_is_needed_grows_with_the_load():
    costs = {
        "chunk": {"redis commands": 35.0, "cpu redis": 0.001, "transactions": 5.0},
        "job": {"redis commands": 100.0, "cpu redis": 0.01, "transactions": -3.0},
        "idle second": {"redis commands": 20.0, "cpu redis": 0.004},
    }
    day = Load("a day", 10_000 / DAY, 20, 40.0, 240.0)
    twice = Load("twice", 20_000 / DAY, 20, 40.0, 240.0)
    for what, (count, _) in needs(day, costs).items():
        assert count <= needs(twice, costs)[what][0] <= 2 * count + 1e-9
