"""The bare engine on a whole file: ``python -m bench.whole FILE`` prints what it hears."""

from __future__ import annotations

import sys
import tempfile
import wave
from pathlib import Path

from chunking import decode
from engines.base import Hints
from engines.sphinx import Sphinx


def heard(recording: Path) -> str:
    """Its words in lower case, as one utterance."""
    with tempfile.TemporaryDirectory() as folder, decode.stream(recording) as stream:
        path = Path(folder) / "whole.wav"
        with wave.open(str(path), "wb") as target:
            target.setnchannels(1)
            target.setsampwidth(2)
            target.setframerate(decode.SAMPLE_RATE)
            for block in stream:
                target.writeframesraw(block)
        words = Sphinx().transcribe(path, Hints()).words
    return " ".join(word.text for word in words).lower()


if __name__ == "__main__":
    print(heard(Path(sys.argv[1])))
