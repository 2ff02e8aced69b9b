"""What it costs to take a recording apart, against decoding it alone, for growing lengths.

``python -m bench.prepare 6 60 600`` measures recordings of so many minutes.
"""

from __future__ import annotations

import json
import resource
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import av

from bench.figures import Curve, Figure, Measured, tell
from bench.table import show
from chunking.cut import AudioChunker, ChunkingConfig
from chunking.decode import decoder

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "conversation.flac"
MINUTES = (6, 20, 60)
#: Seconds a chunk aims at.
CHUNK = 30.0
#: Times real time; and megabytes by which the longest may take more than the shortest.
GOAL, ROOM_MB = 400, 64


def main(lengths: Sequence[int] = MINUTES) -> int:
    """Print the tables; returns 1 when it is too slow, or takes more memory for more sound."""
    return tell("prepare", measure(lengths))


def measure(lengths: Sequence[int] = MINUTES) -> Measured:
    """Each length in processes of its own, so that memory peaks do not mix."""
    with tempfile.TemporaryDirectory() as folder:
        found = [_length(minutes, Path(folder)) for minutes in lengths]
    heads = ("mp3 of", "decode alone", "decode + speech + cut", "ratio of CPU seconds",
             "memory", "of the decoder", "chunks")  # fmt: skip
    show("prepare: times real time, by CPU seconds of all processes", heads,
         [one.row() for one in found])  # fmt: skip
    last = found[-1]
    speed = last.seconds / last.apart["cpu"]
    figure = Figure(
        f"prepare of {last.minutes} min",
        f"≥ {GOAL} × real time, memory as for {lengths[0]} min + {ROOM_MB} MB",
        f"{speed:.0f} ×, {last.apart['rss_mb']:.0f} MB",
        speed >= GOAL and last.apart["rss_mb"] <= found[0].apart["rss_mb"] + ROOM_MB,
        last.apart["cpu"] / last.alone["cpu"],
        "CPU seconds of decoding alone",
    )
    memory = [(one.minutes, one.apart["rss_mb"]) for one in found]
    flat = [(one.minutes, memory[0][1]) for one in found]
    curve = Curve("memory of prepare over duration", "minutes", "MB", memory, flat)
    return Measured([figure], [curve])


@dataclass(frozen=True, slots=True)
class Length:
    """What a recording of one length took."""

    minutes: int
    seconds: float
    alone: dict[str, float]
    apart: dict[str, float]

    def row(self) -> tuple[object, ...]:
        return (
            f"{self.minutes} min",
            f"{self.seconds / self.alone['cpu']:.0f} ×",
            f"{self.seconds / self.apart['cpu']:.0f} ×",
            f"{self.apart['cpu'] / self.alone['cpu']:.2f}",
            f"{self.apart['rss_mb']:.0f} MB",
            f"{self.apart['child_mb']:.0f} MB",
            self.apart["chunks"],
        )


def _length(minutes: int, folder: Path) -> Length:
    recording = folder / f"{minutes}.mp3"
    seconds = make(recording, minutes)
    found = Length(minutes, seconds, measured("alone", recording), measured("apart", recording))
    recording.unlink()
    return found


def make(path: Path, minutes: int) -> float:
    """Repeat the sample until *minutes* are full; returns the seconds that were written."""
    with av.open(str(SAMPLE)) as source:
        frames = list(source.decode(audio=0))
    with av.open(str(path), "w") as target:
        stream = target.add_stream("mp3", rate=frames[0].sample_rate, layout="mono")
        resampler = av.AudioResampler(format=stream.format, layout="mono", rate=stream.rate)
        written = 0.0
        while written < minutes * 60:
            for frame in frames:
                frame.pts = None
                for ready in resampler.resample(frame):
                    target.mux(stream.encode(ready))
                written += frame.samples / frame.sample_rate
        target.mux(stream.encode(None))
    return written


def measured(how: str, path: Path, chunk: float = CHUNK) -> dict[str, float]:
    """What a process of its own took: `alone` decodes, `apart` does all, `chunks` without shards.

    *chunk*: seconds a chunk aims at.
    """
    done = subprocess.run(
        [sys.executable, "-m", "bench.prepare", how, path, str(chunk)],
        capture_output=True,
        check=True,
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def decode_alone(path: Path) -> int:
    with decoder.stream(path) as stream:
        for _ in stream:
            pass
    return 0


def take_apart(path: Path, chunk: float, *, with_shards: bool) -> int:
    config = ChunkingConfig(chunk_duration=chunk, overlap_duration=min(5.0, chunk / 2))
    with tempfile.TemporaryDirectory() as folder:
        cutting = AudioChunker(config).take_apart(path, Path(folder))
        for window in (*cutting.windows, *(cutting.shards if with_shards else ())):
            cutting.write_wav(window, Path(folder) / "piece.wav")
        return len(cutting.windows)


def work(how: str, path: Path, chunk: float) -> None:
    """Do it in this process and print what it took."""
    if how == "alone":
        chunks = decode_alone(path)
    else:
        chunks = take_apart(path, chunk, with_shards=how == "apart")
    mine = resource.getrusage(resource.RUSAGE_SELF)
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "cpu": mine.ru_utime + mine.ru_stime + child.ru_utime + child.ru_stime,
        "rss_mb": peak_mb(),
        "child_mb": child.ru_maxrss / 1024,
        "chunks": chunks,
    }
    print(json.dumps(figures))


def peak_mb() -> float:
    """Of this process alone: what `getrusage` says counts who started it, too."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmHWM:")) / 1024


if __name__ == "__main__":
    if sys.argv[1:2] in (["alone"], ["apart"], ["chunks"]):
        work(sys.argv[1], Path(sys.argv[2]), float(sys.argv[3]))
    else:
        sys.exit(main([int(minutes) for minutes in sys.argv[1:]] or MINUTES))
