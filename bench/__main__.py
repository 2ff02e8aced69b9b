"""``python -m bench``: every measurement, as tables, as JSON and as pictures in ``out/bench``.

Names choose some of them, as in ``python -m bench merge prepare``. All take about half an hour.
``--all`` takes hours: ten hours of sound, an hour of speech for PocketSphinx, the largest upload
and five hundred listeners. ``--small`` takes a minute and only guards what must not grow. With
``DATABASE_URL`` naming an empty PostgreSQL, records lie there, and what they cost is counted too.
"""

from __future__ import annotations

import json
import os
import platform
import sys
import traceback
from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from bench import (
    accuracy,
    costs,
    given,
    kill,
    latency,
    listeners,
    merge,
    plots,
    prepare,
    scaling,
    slowloris,
    small,
    upload,
)
from bench.figures import HEADS, Figure, Measured, row
from bench.table import markdown
from core.settings import settings

FOLDER = Path("out/bench")
RESULTS, JSON = "results.md", "results.json"

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
    "slowloris": lambda _: slowloris.measure(),
}
_LONG: Mapping[str, Measure] = {
    **_USUAL,
    "prepare": lambda _: prepare.measure((6, 60, 600)),
    "latency": lambda _: latency.measure((60, 600)),
    "scaling": lambda _: scaling.measure(minutes=60),
    "upload": lambda _: upload.measure(settings().max_file_size),
    "listeners": lambda _: listeners.measure(),
}


def main(measuring: Mapping[str, Measure], recordings: Path | None) -> int:
    """Measure, and write down what was found; returns 1 when a goal was missed.

    Each is written down when it is done, beside what others found before: so hours are not lost
    with the last of them, and one that is measured again does not take the others with it.
    """
    known, reached = _known(), True
    for name, measure in measuring.items():
        found = _measured(name, measure, recordings)
        reached &= found.holds
        known[name] = {"measured": f"{datetime.now(UTC):%Y-%m-%d %H:%M} UTC", **found.as_dict()}
        _write_down(known)
        plots.draw(found.curves, FOLDER)
    print(f"\n## All of it\n\n{(FOLDER / RESULTS).read_text()}\nIn {FOLDER}, with pictures")
    return 0 if reached else 1


def _measured(name: str, measure: Measure, recordings: Path | None) -> Measured:
    """One that breaks is a goal that was missed, and does not end the others."""
    try:
        return measure(recordings)
    except Exception as error:
        traceback.print_exc()
        return Measured([Figure(name, "to be measured", f"{type(error).__name__}: {error}", False)])


def _known() -> dict[str, Any]:
    """What was found before, by measurement; read before anything is measured."""
    file = FOLDER / JSON
    return dict(json.loads(file.read_text())) if file.is_file() else {}


def _write_down(known: Mapping[str, Any]) -> None:
    in_turn = {name: known[name] for name in (*_USUAL, "small") if name in known}
    FOLDER.mkdir(parents=True, exist_ok=True)
    (FOLDER / JSON).write_text(json.dumps(in_turn, indent=1))
    (FOLDER / RESULTS).write_text(_told(in_turn))


def _told(found: Mapping[str, Any]) -> str:
    """As Markdown."""
    rows = [row(Figure(**figure)) for one in found.values() for figure in one["figures"]]
    when = ", ".join(f"{name} {one['measured']}" for name, one in found.items())
    return f"{_machine()}\n\n{markdown(HEADS, rows)}\n\n{when}\n"


def _machine() -> str:
    return f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}"


def _arguments(words: Sequence[str] | None = None) -> tuple[Mapping[str, Measure], Path | None]:
    """What to measure, and the folder of recordings."""
    parser = given.parser(__doc__)
    parser.add_argument("names", nargs="*", metavar="name", help=", ".join(_USUAL))
    how_long = parser.add_mutually_exclusive_group()
    how_long.add_argument("--all", action="store_true", help="at full length")
    how_long.add_argument("--small", action="store_true", help="the guard for every change")
    parser.add_argument(
        "--recordings",
        type=given.folder,
        default=os.environ.get("RECORDINGS") or None,
        metavar="FOLDER",
        help="recordings with NAME.txt or NAME.rttm beside them, for accuracy; also RECORDINGS",
    )
    asked = parser.parse_args(words)
    if unknown := set(asked.names) - set(_USUAL):
        parser.error(f"there is no {', '.join(sorted(unknown))}; there are {', '.join(_USUAL)}")
    if asked.small:
        return {"small": lambda _: small.measure()}, None
    known = _LONG if asked.all else _USUAL
    return {name: known[name] for name in asked.names or known}, asked.recordings


if __name__ == "__main__":
    sys.exit(main(*_arguments()))
