"""What every fault did, and the table of it."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import asdict, dataclass, field
from pathlib import Path
from statistics import median


@dataclass
class Entry:
    """One fault. All times are seconds."""

    seed: int
    fault: str
    #: After the first submission, of jobs that take `undisturbed` without a fault.
    struck_at: float
    undisturbed: float
    #: How far the jobs were then.
    stages: list[str]
    #: How long the fault took, with what made it good.
    lasted: float = 0.0
    #: From its end until a part was begun, or until the last job was over if none was left.
    to_go_on: float = 0.0
    #: How much longer the jobs took than undisturbed ones.
    late_by: float = 0.0
    #: Of the recordings.
    heard_twice: float = 0.0
    #: Processes that ended without having been killed.
    ended: list[str] = field(default_factory=list)
    #: Webhooks that came more than once, with one and the same id.
    told_again: int = 0
    problems: list[str] = field(default_factory=list)


_HEAD = (
    "| fault | runs | recovered | goes on after | at most | late by | heard twice | at most |\n"
    "|---|--:|--:|--:|--:|--:|--:|--:|\n"
)


class Ledger(list[Entry]):
    """Entries, which are written down as they come."""

    def __init__(self, folder: Path) -> None:
        super().__init__()
        self._folder = folder

    def append(self, entry: Entry) -> None:
        super().append(entry)
        write(self, self._folder)


def write(entries: list[Entry], folder: Path) -> None:
    """All that was seen as JSON, and the table."""
    folder.mkdir(parents=True, exist_ok=True)
    told = [asdict(entry) for entry in entries]
    (folder / "runs.json").write_text(json.dumps(told, indent=1))
    (folder / "table.md").write_text(table(entries))


def table(entries: list[Entry]) -> str:
    """A line for each fault: medians and maxima, in seconds."""
    by_fault: dict[str, list[Entry]] = defaultdict(list)
    for entry in entries:
        by_fault[entry.fault].append(entry)
    lines = [_line(fault, runs) for fault, runs in sorted(by_fault.items())]
    return _HEAD + "".join(f"| {' | '.join(line)} |\n" for line in lines)


def _line(fault: str, runs: list[Entry]) -> list[str]:
    go_on = [one.to_go_on for one in runs]
    twice = [one.heard_twice for one in runs]
    return [
        fault,
        str(len(runs)),
        str(sum(not one.problems for one in runs)),
        *(f"{seconds:.1f} s" for seconds in (median(go_on), max(go_on))),
        f"{median(one.late_by for one in runs):.1f} s",
        *(f"{seconds:.0f} s" for seconds in (median(twice), max(twice))),
    ]
