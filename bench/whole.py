"""The bare engine on a whole file: ``python -m bench.whole FILE`` prints what it hears.

PocketSphinx keeps the lattice of all that it heard, so its time and its memory grow faster than the
recording: half an hour in one go takes longer than the half hour, and an hour a gigabyte. Longer
recordings it therefore hears in pieces of about ten minutes, which end in pauses.
"""

from __future__ import annotations

import sys
import tempfile
from pathlib import Path

from chunking.cut import AudioChunker, ChunkingConfig, Cutting
from chunking.plan.planner import Window
from engines import catalog
from engines.base import Hints, Recognizer
from transcripts.types import Word

#: Minutes that the engine hears in one go.
LONGEST = 10
_IN_PIECES = ChunkingConfig(chunk_duration=LONGEST * 60, overlap_duration=0)


def heard(recording: Path) -> str:
    """Its words in lower case, as one utterance."""
    engine = catalog.load_recognizer(catalog.SPHINX)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cutting = AudioChunker(_IN_PIECES).take_apart(recording, folder)
        words = [
            word.text
            for window in _pieces(cutting)
            for word in _words(engine, cutting, window, folder / "piece.wav")
        ]
    return " ".join(words).lower()


def _pieces(cutting: Cutting) -> tuple[Window, ...]:
    whole = Window(0, cutting.duration)
    return (whole,) if cutting.duration <= LONGEST * 60 else cutting.windows


def _words(engine: Recognizer, cutting: Cutting, window: Window, path: Path) -> tuple[Word, ...]:
    cutting.write_wav(window, path)
    return engine.transcribe(path, Hints()).words


if __name__ == "__main__":
    print(heard(Path(sys.argv[1])))
