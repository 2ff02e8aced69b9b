"""Speaker turns as a job finds them: shard by shard, then one identity over all of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from chunking.cut import Cutting
from chunking.plan.planner import Window
from engines.base import Diarizer, SpeakerHints
from engines.catalog import DiarizerSpec
from transcripts.speakers.linking import Shard, link_speakers
from transcripts.types import Interval, Turn


def turns(
    spec: DiarizerSpec,
    diarizer: Diarizer,
    cutting: Cutting,
    windows: Iterable[Window],
    workdir: Path,
    most: int | None = None,
) -> tuple[Turn, ...]:
    """Diarize each window by itself and join the voices. *most*: no more people speak."""
    path = workdir / "shard.wav"
    found: list[Shard] = []
    for window in windows:
        cutting.write_wav(window, path)
        voices = diarizer.diarize(path, SpeakerHints(max_speakers=most))
        found.append(Shard(Interval(window.start, window.end), voices))
    return link_speakers(found, threshold=spec.same_speaker, max_speakers=most)
