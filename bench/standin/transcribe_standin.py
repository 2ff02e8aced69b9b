"""An engine that costs nothing, so that what is around engines can be measured.

It "hears" two made-up words a second, and takes ``STANDIN_SECONDS`` for each chunk, in which it
waits and uses no processor. Found as any engine of a third party is: its folder is on
``PYTHONPATH``, and its entry point names `STANDIN`.

Every process of the stack looks what engines there are, so each of them imports this; where
``STANDIN_STATEMENTS`` names a file, each then adds a byte to it for every statement that it sends
to the database.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import Any

from sqlalchemy import Engine, event

from engines import wav
from engines.base import Hints
from engines.catalog import EngineSpec, Requirement
from transcripts.types import Transcription, Word

STANDIN = EngineSpec(
    name="standin",
    title="Stand-in",
    factory="transcribe_standin:Standin",
    requires=Requirement("transcribe_standin"),
    memory_mb=60,
)


class Standin:
    """Hears the same words in every chunk of one length."""

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        time.sleep(float(os.environ.get("STANDIN_SECONDS", "0")))
        halves = range(int(2 * wav.read_duration(audio)))
        words = (Word(f"word{n}", n / 2, n / 2 + 0.4, 0.9) for n in halves)
        return Transcription(tuple(words), hints.language)


def _count_statements(path: str) -> None:
    # Appending is atomic, and a child that is forked off goes on with the same file.
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

    def count(*_: Any) -> None:
        os.write(file, b".")

    event.listen(Engine, "before_cursor_execute", count)


if _FILE := os.environ.get("STANDIN_STATEMENTS"):
    _count_statements(_FILE)
