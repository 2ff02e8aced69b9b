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
from pathlib import Path

import av

from bench.table import show
from chunking import decode
from chunking.cut import AudioChunker

SAMPLE = Path(__file__).resolve().parents[1] / "samples" / "conversation.flac"
MINUTES = (6, 60)


def main(lengths: Sequence[int] = MINUTES) -> None:
    """Measure each length in processes of its own, so that memory peaks do not mix."""
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for minutes in lengths:
            recording = Path(folder) / f"{minutes}.mp3"
            seconds = make(recording, minutes)
            alone, apart = measured("alone", recording), measured("apart", recording)
            rows.append(
                (
                    f"{seconds / 60:.0f} min",
                    f"{seconds / alone['cpu']:.0f} ×",
                    f"{seconds / apart['cpu']:.0f} ×",
                    f"{apart['cpu'] / alone['cpu']:.2f}",
                    f"{apart['rss_mb']:.0f} MB",
                    f"{apart['child_mb']:.0f} MB",
                    apart["chunks"],
                )
            )
            recording.unlink()
    heads = ("mp3 of", "decode alone", "decode + speech + cut", "ratio of CPU seconds",
             "memory", "of the decoder", "chunks")  # fmt: skip
    show("prepare: times real time, by CPU seconds of all processes", heads, rows)


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


def measured(how: str, path: Path) -> dict[str, float]:
    done = subprocess.run(
        [sys.executable, "-m", "bench.prepare", how, path], capture_output=True, check=True
    )
    figures: dict[str, float] = json.loads(done.stdout)
    return figures


def decode_alone(path: Path) -> int:
    with decode.stream(path) as stream:
        for _ in stream:
            pass
    return 0


def take_apart(path: Path) -> int:
    with tempfile.TemporaryDirectory() as folder:
        cutting = AudioChunker().take_apart(path, Path(folder))
        for window in (*cutting.windows, *cutting.shards):
            cutting.write_wav(window, Path(folder) / "piece.wav")
        return len(cutting.windows)


def measure(how: str, path: Path) -> None:
    """Do it in this process and print what it took."""
    chunks = (decode_alone if how == "alone" else take_apart)(path)
    mine = resource.getrusage(resource.RUSAGE_SELF)
    child = resource.getrusage(resource.RUSAGE_CHILDREN)
    figures = {
        "cpu": mine.ru_utime + mine.ru_stime + child.ru_utime + child.ru_stime,
        "rss_mb": mine.ru_maxrss / 1024,
        "child_mb": child.ru_maxrss / 1024,
        "chunks": chunks,
    }
    print(json.dumps(figures))


if __name__ == "__main__":
    if sys.argv[1:2] in (["alone"], ["apart"]):
        measure(sys.argv[1], Path(sys.argv[2]))
    else:
        main([int(minutes) for minutes in sys.argv[1:]] or MINUTES)
