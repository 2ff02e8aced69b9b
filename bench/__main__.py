"""``python -m bench``: every measurement, as tables, as JSON and as pictures in ``out/bench``.

Names choose some of them, as in ``python -m bench merge prepare``. All take about half an hour.
``--all`` takes hours: ten hours of sound, an hour of speech for PocketSphinx, the largest upload
and five hundred listeners. ``--small`` takes two minutes and only guards what must not grow. With
``DATABASE_URL`` naming an empty PostgreSQL, records lie there, and what they cost is counted too.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import (
    accuracy,
    costs,
    kill,
    latency,
    listeners,
    merge,
    plots,
    prepare,
    scaling,
    small,
    upload,
)
from bench.figures import HEADS, Measured, row
from bench.table import markdown
from core.settings import settings

FOLDER = Path("out/bench")

#: Given the folder of recordings with references, if there is one.
Measure = Callable[[Path | None], Measured]

_USUAL: Mapping[str, Measure] = {
    "merge": lambda _: merge.measure(),
    "prepare": lambda _: prepare.measure(),
    "costs": lambda _: costs.measure(),
    "latency": lambda _: latency.measure(),
    "scaling": lambda _: scaling.measure(),
    "kill": lambda _: kill.measure(),
    "accuracy": accuracy.measure,
    "upload": lambda _: upload.measure(256 * 1024**2),
    "listeners": lambda _: listeners.measure(100, 10),
}
_LONG: Mapping[str, Measure] = {
    **_USUAL,
    "prepare": lambda _: prepare.measure((6, 60, 600)),
    "latency": lambda _: latency.measure((60, 600)),
    "scaling": lambda _: scaling.measure(minutes=60),
    "upload": lambda _: upload.measure(settings().max_file_size),
    "listeners": lambda _: listeners.measure(),
}


def main(measuring: Sequence[Measure], recordings: Path | None) -> int:
    """Measure, and write down what was found; returns 1 when a goal was missed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = [measure(recordings) for measure in measuring]
    figures = [figure for one in found for figure in one.figures]
    table = f"{_machine()}\n\n{markdown(HEADS, [row(one) for one in figures])}\n"
    (FOLDER / "results.md").write_text(table)
    (FOLDER / "results.json").write_text(json.dumps([one.as_dict() for one in found], indent=1))
    drawn = plots.draw([curve for one in found for curve in one.curves], FOLDER)
    print(
        f"\n## All of it\n\n{table}\nIn {FOLDER}: results.md, results.json, {len(drawn)} pictures"
    )
    return 0 if all(one.holds for one in found) else 1


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def _arguments(words: Sequence[str] | None = None) -> tuple[Sequence[Measure], Path | None]:
    """What to measure, and the folder of recordings."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(_USUAL))
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--all", action="store_true", help="at full length")
    how_long.add_argument("--small", action="store_true", help="the guard for every change")
    parser.add_argument(
        "--recordings",
        type=Path,
        default=os.environ.get("RECORDINGS") or None,
        metavar="FOLDER",
        help="recordings with NAME.txt or NAME.rttm beside them, for accuracy; also RECORDINGS",
    )
    given = parser.parse_args(words)
    if unknown := set(given.names) - set(_USUAL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_USUAL)}")
    if given.small:
        return [lambda _: small.measure()], None
    known = _LONG if given.all else _USUAL
    return [known[name] for name in given.names or known], given.recordings


if __name__ == "__main__":
    sys.exit(main(*_arguments()))
