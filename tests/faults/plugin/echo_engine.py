"""An engine and a diarizer that need no time but what they are told to take.

The engine hears one word a second, which is a hash of that second's samples: a byte that is lost
or wrong is a wrong word. Every hearing is written down when it begins, so that what was heard
twice can be counted.
"""

from __future__ import annotations

import hashlib
import json
import os
import time
import wave
from pathlib import Path

from engines.base import Hints, SpeakerHints
from engines.catalog import DiarizerSpec, EngineSpec, Requirement
from transcripts.types import Diarization, Transcription, Turn, Word

_HERE = Requirement("echo_engine")

ENGINE = EngineSpec(
    name="echo",
    title="Echo",
    factory="echo_engine:Echo",
    requires=_HERE,
    memory_mb=50,
    diarizer="echo",
)
DIARIZER = DiarizerSpec(
    name="echo",
    title="Echo",
    factory="echo_engine:EchoSpeakers",
    requires=_HERE,
    memory_mb=50,
    shard_seconds=60.0,
)

#: Seconds that a piece takes, whatever its length.
WORK = "ECHO_SECONDS"
#: Where hearings are written down: one JSON object a line.
DIARY = "ECHO_DIARY"
#: Seconds between two speakers' turns.
TURN = 4


class Echo:
    """Hears hashes."""

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        seconds = _listen("chunk", audio)
        return Transcription(
            tuple(_word(at, sound) for at, sound in enumerate(seconds)), language="en"
        )


class EchoSpeakers:
    """Hears two voices that take turns."""

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        end = len(_listen("shard", audio))
        turns = (Turn(at, min(at + TURN, end), at // TURN % 2) for at in range(0, end, TURN))
        return Diarization(tuple(turns), {0: (1.0, 0.0), 1: (0.0, 1.0)})


def _listen(kind: str, audio: Path) -> list[bytes]:
    data = audio.read_bytes()
    with wave.open(str(audio)) as file:
        rate, sound = file.getframerate() * file.getsampwidth(), file.readframes(file.getnframes())
    _write_down(kind, data, len(sound) / rate)
    time.sleep(float(os.environ[WORK]))
    return [sound[at : at + rate] for at in range(0, len(sound), rate)]


def _write_down(kind: str, data: bytes, seconds: float) -> None:
    told = {
        "kind": kind,
        "what": hashlib.sha256(data).hexdigest(),
        "seconds": seconds,
        "pid": os.getpid(),
        # All processes of a machine share this clock, and no test sets it.
        "at": time.monotonic(),
    }
    # One write in append mode: lines of several processes do not mix.
    diary = os.open(os.environ[DIARY], os.O_WRONLY | os.O_APPEND | os.O_CREAT)
    try:
        os.write(diary, json.dumps(told).encode() + b"\n")
    finally:
        os.close(diary)


def _word(at: int, sound: bytes) -> Word:
    return Word(hashlib.sha256(sound).hexdigest()[:8], at + 0.1, at + 0.9, 1.0)
