"""Whether a call of two channels gives every word to who said it: ``python -m bench.calls``.

The voices of the sample, each on a channel of its own, and some sentences begin before the other's
end. With ``channels=separate`` nothing is guessed, so no word may be another's.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from itertools import permutations
from pathlib import Path
from typing import Any

from bench import made
from bench.figures import Figure, Measured, tell
from bench.made import Said
from bench.service import TRANSCRIBE
from bench.table import show

#: Which channel is whose.
CHANNELS = {"anna": 0, "robert": 1}
#: Seconds between two sentences, over and over; below 0: the other is interrupted.
PAUSES = (0.5, -0.6, 0.9, 0.3)
#: Seconds by which the engine may be wrong about when a word is said.
NEAR = 0.3


def main() -> int:
    """Print the tables; returns 1 when a word is given to the wrong speaker."""
    return tell("calls", measure())


def measure() -> Measured:
    """The row of the call, against the same with both voices on one channel."""
    said = made.spoken(made.sentences(), lambda number: PAUSES[number % len(PAUSES)])
    with tempfile.TemporaryDirectory() as folder:
        apart = _heard(Path(folder) / "apart", said, CHANNELS, "separate")
        mixed = _heard(Path(folder) / "mixed", said, {}, "mix")
    wrong, guessed = wrongly_told(said, apart), wrongly_told(said, mixed)
    show(
        "calls: words, and those that somebody else said",
        ("voices", "words", "of the wrong speaker"),
        [("on channels of their own", len(apart), wrong), ("on one", len(mixed), guessed)],
    )
    figure = Figure(
        f"a call of two channels, {len(apart)} words",
        "every word is its speaker's",
        f"{wrong} of the wrong speaker",
        not wrong and len(apart) > 0,
        wrong / guessed if guessed else None,
        f"the voices on one channel, told apart by the diarizer: {guessed} of {len(mixed)}",
    )
    return Measured([figure])


def wrongly_told(said: Sequence[Said], heard: Sequence[Mapping[str, Any]]) -> int:
    """How many words were heard when the one they are given to says nothing.

    Who is who is what makes most of the words right; nobody is two of them.
    """
    told = {word["speaker"] for word in heard}
    names = sorted({one.sentence.speaker for one in said})
    right = {
        (who, name): sum(_speaks(said, name, word) for word in heard if word["speaker"] == who)
        for who in told
        for name in names
    }
    orders = permutations([*told, *("" for _ in names)], len(names))
    return len(heard) - max(
        sum(right.get(pair, 0) for pair in zip(order, names, strict=True)) for order in orders
    )


def _speaks(said: Sequence[Said], name: str, word: Mapping[str, Any]) -> bool:
    middle = (word["start"] + word["end"]) / 2
    return any(
        one.start - NEAR <= middle <= one.end + NEAR for one in said if one.sentence.speaker == name
    )


def _heard(
    folder: Path, said: Sequence[Said], channels: Mapping[str, int], how: str
) -> list[Mapping[str, Any]]:
    """The words of the transcript, each with its speaker."""
    folder.mkdir()
    made.write(folder / "call.wav", said, channels)
    command = [TRANSCRIBE, folder / "call.wav", "-o", folder, "--format", "json", "--channels", how]
    subprocess.run(command, check=True, stdout=sys.stderr)
    segments = json.loads((folder / "transcription.json").read_text())["segments"]
    return [{**word, "speaker": one["speaker_tag"]} for one in segments for word in one["words"]]


if __name__ == "__main__":
    sys.exit(main())
