"""What it costs in accuracy that recordings are cut: ``python -m bench.accuracy [FOLDER]``.

With FOLDER: recordings with ``NAME.txt`` (what is said: lower case, no punctuation) or
``NAME.rttm`` (who speaks when) beside them. Without it: talks made of the sentences of the sample,
which are clean and repeat themselves. Then calls of two channels, and the length of pauses.
"""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from bench import calls, diarization, given, made, pauses, words
from bench.figures import Measured, tell, together

#: Made-up talks: so many, each of all sentences so many times; for words, and for speakers.
TALKS, PASSES = 6, 2
LONG_TALKS, LONG_PASSES, SHARD = 4, 8, 300.0


def main(folder: Path | None) -> int:
    """Print the tables; returns 1 when cutting costs more than it may."""
    return tell("accuracy", measure(folder))


def measure(folder: Path | None = None) -> Measured:
    """Rows for words, speakers, channels and pauses."""
    own = _of(folder) if folder else _made_up()
    return together([*own, calls.measure(), pauses.measure()])


def _of(folder: Path) -> Sequence[Measured]:
    found = []
    if spoken := words.recordings(folder):
        found.append(words.measure(spoken))
    if told := diarization.recordings(folder):
        found.append(diarization.measure(told))
    return found


def _made_up() -> Sequence[Measured]:
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        heard = words.measure(made.talks(folder, TALKS, PASSES))
        told = diarization.measure(made.talks(folder, LONG_TALKS, LONG_PASSES), SHARD)
    return heard, told


if __name__ == "__main__":
    parser = given.parser(__doc__)
    parser.add_argument("recordings", type=given.folder, nargs="?", metavar="FOLDER")
    sys.exit(main(parser.parse_args().recordings))
