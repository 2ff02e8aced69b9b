"""``python -m bench``: every measurement, as tables, as JSON and as pictures in ``out/bench``.

Names choose some of them, as in ``python -m bench merge prepare``. All take about a quarter of an
hour. ``--all`` takes more than an hour: it adds ten hours of sound, an hour of speech for
PocketSphinx, the largest upload and five hundred listeners. With ``DATABASE_URL`` naming an empty
PostgreSQL, records lie there, and what they cost is counted as well.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from bench import costs, latency, listeners, merge, plots, prepare, scaling, upload
from bench.figures import HEADS, Measured, row
from bench.table import markdown
from core.settings import settings

FOLDER = Path("out/bench")

_USUAL: Mapping[str, Callable[[], Measured]] = {
    "merge": merge.measure,
    "prepare": prepare.measure,
    "costs": costs.measure,
    "latency": latency.measure,
    "scaling": scaling.measure,
}
_LONG: Mapping[str, Callable[[], Measured]] = {
    "merge": merge.measure,
    "prepare": lambda: prepare.measure((6, 60, 600)),
    "costs": costs.measure,
    "latency": lambda: latency.measure((60, 600)),
    "scaling": lambda: scaling.measure(minutes=60),
    "upload": lambda: upload.measure(settings().max_file_size),
    "listeners": listeners.measure,
}


def main(measuring: Sequence[Callable[[], Measured]]) -> int:
    """Measure, and write down what was found; returns 1 when a goal was missed."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    found = [measure() for measure in measuring]
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


def _chosen(words: Sequence[str] | None = None) -> Sequence[Callable[[], Measured]]:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("names", nargs="*", help=", ".join(_LONG))
    parser.add_argument("--all", action="store_true")
    given = parser.parse_args(words)
    if unknown := set(given.names) - set(_LONG):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_LONG)}")
    known = _LONG if given.all else {**_LONG, **_USUAL}
    names = given.names or (_LONG if given.all else _USUAL)
    return [known[name] for name in names]


if __name__ == "__main__":
    sys.exit(main(_chosen()))
