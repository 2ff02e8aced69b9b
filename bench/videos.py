"""Long recordings at once, on this machine: ``python -m bench.videos FILE FILE``.

``transcribe`` gets all the files in one command, with a stack of its own and the engine `whisper`.
Told are the wall time, the processor time, the most memory that all its processes held together
(proportional set size: what they share counts once) and the folders that it wrote. ``FILE`` with a
``.txt`` beside it gives a word error rate, too.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import jiwer
import psutil

from bench import given
from bench.figures import Figure, Measured, tell
from bench.normal import normalize
from bench.service import TRANSCRIBE
from bench.table import show
from core.memory.leases import budget_mb
from engines import wav

#: Seconds between two looks at the memory.
EVERY = 2.0
#: Processor seconds for a second of sound: ten times real time on two cores.
GOAL = 0.2


@dataclass(frozen=True, slots=True)
class Run:
    """One command with all recordings."""

    #: Seconds; of the processor those of all its processes.
    wall: float
    cpu: float
    #: The most MB that its processes held together.
    peak_mb: float


def measure(recordings: Sequence[Path]) -> Measured:
    """Rows of speed and of memory; prints the folders and, where it is known, what was misheard."""
    with tempfile.TemporaryDirectory() as name:
        output = Path(name) / "results"
        run = _transcribe(recordings, output)
        seconds = sum(_duration(output / path.stem) for path in recordings)
        _show_folders(output)
        _show_errors(recordings, output)
    return Measured([_speed(run, seconds), _memory(run, len(recordings))])


def _transcribe(recordings: Sequence[Path], output: Path) -> Run:
    command = [TRANSCRIBE, *recordings, "--output", output, "--engine", "whisper"]
    began, before, peak = time.monotonic(), _used_by_children(), 0.0
    with subprocess.Popen(command, stdout=subprocess.DEVNULL) as process:
        while process.poll() is None:
            peak = max(peak, _memory_mb(psutil.Process(process.pid)))
            time.sleep(EVERY)
    assert process.returncode == 0, process.returncode
    return Run(time.monotonic() - began, _used_by_children() - before, peak)


def _used_by_children() -> float:
    """Processor seconds of all processes that ended and were waited for, and of theirs."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def _memory_mb(root: psutil.Process) -> float:
    """Of a process and all that it started."""
    held = 0
    with suppress(psutil.NoSuchProcess):
        for one in (root, *root.children(recursive=True)):
            with suppress(psutil.NoSuchProcess, psutil.AccessDenied):
                held += one.memory_full_info().pss
    return held / 1024**2


def _speed(run: Run, seconds: float) -> Figure:
    cost = run.cpu / seconds
    return Figure(
        f"{seconds / 3600:.1f} h of video, all at once",
        f"≤ {GOAL:g} s of processor time for a second",
        f"{cost:.3f} s; {run.wall / 60:.1f} min of wall time",
        cost <= GOAL,
        cost / GOAL,
        "ten times real time on two cores",
    )


def _memory(run: Run, count: int) -> Figure:
    allowed = budget_mb()
    return Figure(
        f"memory of all processes, {count} at once",
        f"≤ {allowed:.0f} MB, which they may take",
        f"{run.peak_mb:.0f} MB",
        run.peak_mb <= allowed,
        run.peak_mb / allowed,
        "MAX_MEMORY_GB",
    )


def _duration(folder: Path) -> float:
    return sum(wav.read_duration(chunk) for chunk in sorted((folder / "chunks").glob("*.wav")))


def _show_folders(output: Path) -> None:
    for folder in sorted(path for path in output.iterdir() if path.is_dir()):
        files = [path for path in folder.rglob("*") if path.is_file()]
        chunks = [path for path in files if path.suffix == ".wav"]
        show(
            f"{folder.name}: {len(files)} files, of which {len(chunks)} chunks of sound",
            ("file", "kB"),
            [
                (str(path.relative_to(folder)), f"{path.stat().st_size / 1000:.0f}")
                for path in sorted(set(files) - set(chunks))
            ],
        )


def _show_errors(recordings: Sequence[Path], output: Path) -> None:
    rows = []
    for path in recordings:
        reference = path.with_suffix(".txt")
        if reference.is_file():
            heard = (output / path.stem / "transcription.txt").read_text()
            rate = jiwer.wer(normalize(reference.read_text()), normalize(_words(heard)))
            rows.append((path.name, f"{rate:.3f}"))
    if rows:
        show("word error rates", ("recording", "WER"), rows)


def _words(transcript: str) -> str:
    """A transcript without the names of speakers."""
    lines = (line.partition(": ") for line in transcript.splitlines())
    return " ".join(rest if name.startswith("SPEAKER_") else name for name, _, rest in lines)


if __name__ == "__main__":
    parser = given.parser(__doc__)
    parser.add_argument("recordings", type=given.file, nargs="+", metavar="FILE")
    sys.exit(tell("videos", measure(parser.parse_args().recordings)))
