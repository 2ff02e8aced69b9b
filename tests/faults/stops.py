"""A job of many chunks while processes are told to end: what becomes of the queues over time."""

from __future__ import annotations

import json
import time
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from random import Random
from statistics import median

from tests.faults.backlog import Backlog, Sample
from tests.faults.driver import clear, heard_twice, wait_until_over
from tests.faults.faults import STOPS
from tests.faults.field import Asked, Field
from tests.integration.conftest import wait_until

TALK = Asked("talk.wav", (("engine", "echo"), ("diarizer", "none")))
#: Chunks that are heard at least, and at most, before processes are told.
_BEFORE = (1, 12)
#: Seconds of sound that the engine's processes have in hand at most: a chunk each.
IN_HAND = 4 * 10.0
#: Seconds after the first process was told, that the table tells of.
_MOMENTS = (0, 2, 4, 6, 8, 10, 15, 20, 30, 40)


@dataclass
class Course:
    """How a job went on; times are seconds after the first process was told."""

    seed: int
    stop: str
    samples: list[Sample]
    over_after: float
    heard_twice: float
    problems: list[str] = field(default_factory=list)


def stopped_run(field: Field, seed: int, stop: str) -> Course:
    """Run the job and stop processes when a number of chunks that the seed says is heard."""
    random = Random(f"{seed} {stop}")
    began = time.monotonic()
    with Backlog(field) as backlog:
        job_id = field.submit(TALK)
        before = random.randint(*_BEFORE)
        wait_until(lambda: len(field.hearings(began)) >= before)
        struck = time.monotonic()
        STOPS[stop](field, random)
        over = wait_until_over(field, [job_id])
    course = Course(
        seed,
        stop,
        [Sample(**{**asdict(one), "at": one.at - struck}) for one in backlog.samples],
        over - struck,
        heard_twice(field, began),
        backlog.problems,
    )
    field.fleet.wait_until_ready()
    told = field.result(job_id)
    if told.get("status") != "completed" or told["warnings"]:
        course.problems.append(f"the job is {told.get('status')}: {told.get('warnings')}")
    clear(field, [job_id])
    return course


class Courses(list[Course]):
    """Courses, which are written down as they come."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def append(self, course: Course) -> None:
        super().append(course)
        self._folder.mkdir(parents=True, exist_ok=True)
        told = [asdict(one) for one in self]
        (self._folder / "stops.json").write_text(json.dumps(told))
        (self._folder / "stops.md").write_text(table(self))


_HEAD = (
    "Messages of parts over parts that are missing: medians, and the most messages beyond one a "
    "part.\n\n"
)


def table(courses: Sequence[Course]) -> str:
    """A line for each stop, a column for each moment."""
    columns = ["stop", "runs", "heard twice, at most", *(f"{at} s" for at in _MOMENTS)]
    lines = [columns, ["---", *["--:"] * (len(columns) - 1)], *_lines(courses)]
    return _HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _lines(courses: Sequence[Course]) -> Iterator[list[str]]:
    by_stop: dict[str, list[Course]] = defaultdict(list)
    for course in courses:
        by_stop[course.stop].append(course)
    for stop, runs in sorted(by_stop.items()):
        twice = max(one.heard_twice for one in runs)
        yield [stop, str(len(runs)), f"{twice:.0f} s", *(_cell(runs, at) for at in _MOMENTS)]


def _cell(runs: Sequence[Course], at: float) -> str:
    found = [sample for run in runs if (sample := _at(run, at))]
    if not found:
        return "–"
    messages, missing = (
        f"{median(getattr(one, what) for one in found):.0f}" for what in ("messages", "missing")
    )
    beyond = max(one.messages - one.missing for one in found)
    return f"{messages}/{missing} ({beyond:+})"


def _at(run: Course, at: float) -> Sample | None:
    """The last look before this moment, of a job that was not over then."""
    before = [one for one in run.samples if one.at <= at]
    return before[-1] if before and at < run.over_after else None
