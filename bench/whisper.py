"""The engine `whisper` against faster-whisper alone: ``python -m bench.whisper RECORDING``.

Both hear the same recording with the same model, beam and number of threads, by turns: the whole
service with a worker process a core, faster-whisper in batches with a thread a core, and window
after window. Once with times of words on both sides, once without. ``RECORDING`` with its ``.txt``
beside it gives word error rates, too.
"""

from __future__ import annotations

import sys
import tempfile
import time
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context
from pathlib import Path

import jiwer
import psutil

from bench import given
from bench.bare_whisper import hear_in_batches, hear_in_sequence
from bench.figures import Figure, Measured, tell
from bench.normal import normalize
from bench.service import Service, running
from bench.table import show
from transcribe_api.client import Client
from transcribe_api.stack.processes import count_usable_cores

#: Of the speed of faster-whisper in batches.
GOAL = 0.95
#: By turns, since a machine is not as quick at one time as at another.
ROUNDS = 2


@dataclass(frozen=True, slots=True)
class Run:
    """One hearing of the whole recording."""

    #: Seconds.
    wall: float
    cpu: float
    text: str


def measure(recording: Path, rounds: int = ROUNDS, *, sequential: bool = True) -> Measured:
    """Rows of speed and of accuracy, with times of words and without."""
    figures = []
    for word_times in (True, False):
        runs = _hear_by_turns(recording, rounds, word_times, sequential)
        _show(recording, word_times, runs)
        figures += _figures(recording, word_times, runs)
    return Measured(figures)


def _hear_by_turns(
    recording: Path, rounds: int, word_times: bool, sequential: bool
) -> dict[str, list[Run]]:
    """The runs of each way, by its name; the service runs on and waits while others hear."""
    runs: dict[str, list[Run]] = {"service": [], "in batches": [], "in sequence": []}
    times = "attention" if word_times else "segments"
    with running(DEFAULT_TRANSCRIPTION_ENGINE="whisper", WHISPER_WORD_TIMES=times) as service:
        for _ in range(rounds):
            runs["service"].append(_hear_by_service(service, recording))
            runs["in batches"].append(_hear_alone(hear_in_batches, recording, word_times))
        if sequential:
            runs["in sequence"].append(_hear_alone(hear_in_sequence, recording, word_times))
    return {name: some for name, some in runs.items() if some}


def _hear_by_service(service: Service, recording: Path) -> Run:
    before, began = _cpu_seconds(service), time.monotonic()
    run = service.run(recording, language="en", enable_diarization="false")
    wall, cpu = time.monotonic() - began, _cpu_seconds(service) - before
    with Client(service.url) as client:
        segments = client.result(run.job_id)["segments"]
    return Run(wall, cpu, " ".join(segment["text"] for segment in segments))


def _cpu_seconds(service: Service) -> float:
    """Of all processes of the stack."""
    processes = [service.stack, *service.stack.children(recursive=True)]
    return sum(sum(one.cpu_times()[:2]) for one in processes)


def _hear_alone(way: Callable[..., str], recording: Path, word_times: bool) -> Run:
    """In a process of its own, without the seconds in which the model is loaded."""
    with ProcessPoolExecutor(1, mp_context=get_context("spawn")) as pool:
        return pool.submit(_timed, way, recording, word_times).result()


def _timed(way: Callable[..., str], recording: Path, word_times: bool) -> Run:
    options = {"language": "en", "threads": count_usable_cores(), "word_times": word_times}
    with tempfile.TemporaryDirectory() as folder:
        way(_beginning(recording, Path(folder) / "beginning.wav"), **options)
    process = psutil.Process()
    before, began = sum(process.cpu_times()[:2]), time.monotonic()
    text = way(recording, **options)
    return Run(time.monotonic() - began, sum(process.cpu_times()[:2]) - before, text)


def _beginning(recording: Path, path: Path) -> Path:
    """A second of the recording: to have the model loaded."""
    from chunking.decode.decoder import stream
    from chunking.pcm import new_wav

    with stream(recording) as blocks, new_wav(path) as file:
        file.writeframes(next(iter(blocks))[:32000])
    return path


def _figures(recording: Path, word_times: bool, runs: dict[str, list[Run]]) -> list[Figure]:
    what = "with times of words" if word_times else "without times of words"
    ours, batches = _best(runs["service"]), _best(runs["in batches"])
    ratio = batches.wall / ours.wall
    figures = [
        Figure(
            f"speed of whisper, {what}",
            f"≥ {GOAL} of faster-whisper in batches",
            f"{ours.wall:.1f} s",
            ratio >= GOAL,
            ratio,
            f"faster-whisper in batches, {batches.wall:.1f} s",
        )
    ]
    if (reference := recording.with_suffix(".txt")).is_file():
        rates = {name: _error_rate(reference, some[0]) for name, some in runs.items()}
        floor = min(rate for name, rate in rates.items() if name != "service")
        figures.append(
            Figure(
                f"WER of whisper, {what}",
                "≤ the best way of faster-whisper",
                f"{rates['service']:.4f}",
                rates["service"] <= floor,
                rates["service"] / floor if floor else None,
                f"faster-whisper at its best, {floor:.4f}",
            )
        )
    return figures


def _show(recording: Path, word_times: bool, runs: dict[str, list[Run]]) -> None:
    reference = recording.with_suffix(".txt")
    has_text = reference.is_file()
    show(
        f"whisper: {recording.name}, {'with' if word_times else 'without'} times of words",
        ("way", "wall", "processor time", "word error rate"),
        [
            (
                name,
                ", ".join(f"{run.wall:.1f} s" for run in some),
                ", ".join(f"{run.cpu:.1f} s" for run in some),
                f"{_error_rate(reference, some[0]):.4f}" if has_text else "-",
            )
            for name, some in runs.items()
        ],
    )


def _best(runs: list[Run]) -> Run:
    return min(runs, key=lambda run: run.wall)


def _error_rate(reference: Path, run: Run) -> float:
    return float(jiwer.wer(normalize(reference.read_text()), normalize(run.text) or "-"))


if __name__ == "__main__":
    parser = given.parser(__doc__)
    parser.add_argument("recording", type=given.file)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--no-sequence", action="store_true", help="leave out the slowest way")
    told = parser.parse_args()
    found = measure(told.recording, told.rounds, sequential=not told.no_sequence)
    sys.exit(tell("whisper", found))
