"""Makes the sample conversation: two voices of flite read a text of our own.

    python samples/make_conversation.py [FOLDER]

writes conversation.flac (16 kHz mono), conversation.txt (the words, one turn a line) and
conversation.rttm (who speaks when), the same bytes each time with the same flite. Needs flite,
which Debian packages, and PyAV, which the project installs.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
import wave
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000
#: Samples quieter than this before and after the words are not part of a turn.
AUDIBLE = 300
#: Pause before each turn in seconds, over and over.
PAUSES = (0.6, 0.4, 0.9, 0.35, 0.7, 1.2, 0.5)

#: Name of the speaker, voice of flite.
VOICES = {"anna": "slt", "robert": "rms"}

TURNS = (
    ("anna", "Good morning. Do you have a few minutes to talk about the new radio show?"),
    ("robert", "Of course. I was just reading the letter from the city council."),
    ("anna", "What did they say?"),
    ("robert", "They will give us the old library building for the whole summer."),
    ("anna", "That is wonderful news. We can finally have a room with a big window."),
    ("robert", "Yes. People who walk down the street will see us at work."),
    ("anna", "Then we should begin with music from this part of the country."),
    ("robert", "I agree. My brother plays the piano, and his friends have a small band."),
    ("anna", "Could they play for us on the first evening?"),
    ("robert", "I think so. They are free on Friday and on Sunday afternoon."),
    ("anna", "Friday is better, because many families are at home that evening."),
    ("robert", "All right."),
    ("anna", "After the music I would like to speak with a teacher from the high school."),
    ("robert", "What would you ask her?"),
    (
        "anna",
        "I want to know how the children learn to read, "
        "and what their parents can do to help them.",
    ),
    ("robert", "That is a good question. Many of our listeners have young children."),
    ("anna", "How long should we talk before we play another song?"),
    ("robert", "About ten minutes. After that, people begin to think about dinner."),
    ("anna", "You are probably right."),
    (
        "robert",
        "We also need somebody to read the weather report. "
        "The farmers always want to hear about the rain.",
    ),
    ("anna", "My father could do that. He has been a farmer for more than thirty years."),
    ("robert", "Does he like to speak in public?"),
    ("anna", "He loves it. Nobody in my family can stop him."),
    ("robert", "Then we have a plan. I will call the band tonight and write to the school."),
    ("anna", "And I will bring two chairs, a table, and some coffee."),
    ("robert", "Please bring the good coffee this time."),
    ("anna", "I promise. See you on Thursday at the old library."),
    ("robert", "Thank you very much. I am looking forward to it."),
)

Samples = NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class Line:
    """A turn that has been spoken; times in seconds."""

    speaker: str
    words: str
    start: float
    end: float


def main(folder: Path) -> None:
    """Write the three files into the folder."""
    if shutil.which("flite") is None:
        sys.exit("flite is missing, which speaks the text: apt-get install flite")
    sound, lines = conversation()
    write_flac(folder / "conversation.flac", sound)
    (folder / "conversation.txt").write_text("".join(f"{line.words}\n" for line in lines))
    (folder / "conversation.rttm").write_text("".join(map(rttm, lines)))


def conversation() -> tuple[Samples, list[Line]]:
    """Speak all turns, one after the other, with a pause before each and a second at the end."""
    parts: list[Samples] = []
    lines: list[Line] = []
    length = 0
    for number, (speaker, text) in enumerate(TURNS):
        pause = np.zeros(round(PAUSES[number % len(PAUSES)] * RATE), np.int16)
        voice = audible(speak(VOICES[speaker], text))
        start = length + len(pause)
        length = start + len(voice)
        parts += [pause, voice]
        lines.append(Line(speaker, words(text), start / RATE, length / RATE))
    return np.concatenate([*parts, np.zeros(RATE, np.int16)]), lines


def speak(voice: str, text: str) -> Samples:
    """Have flite read the text; 16 kHz is what its larger voices give."""
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        subprocess.run(["flite", "-voice", voice, "-t", text, "-o", str(spoken)], check=True)
        with wave.open(io.BytesIO(spoken.read_bytes())) as file:
            if (file.getframerate(), file.getnchannels()) != (RATE, 1):
                sys.exit(f"flite has no 16 kHz voice {voice}: install the whole of flite")
            return np.frombuffer(file.readframes(file.getnframes()), np.int16)


def audible(sound: Samples) -> Samples:
    """Leave out the silence before and after, so that turns are where they are said to be."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > AUDIBLE)
    return sound[loud[0] : loud[-1] + 1]


def words(text: str) -> str:
    """The words as a recogniser writes them."""
    return " ".join(re.findall(r"[a-z']+", text.lower()))


def rttm(line: Line) -> str:
    """One line of the NIST rich transcription time marks."""
    times = f"{line.start:.3f} {line.end - line.start:.3f}"
    return f"SPEAKER conversation 1 {times} <NA> <NA> {line.speaker} <NA> <NA>\n"


def write_flac(path: Path, sound: Samples) -> None:
    """Compress without loss and without a date or a version in the file."""
    with av.open(str(path), "w", options={"fflags": "+bitexact"}) as file:
        stream = file.add_stream("flac", rate=RATE, layout="mono")
        stream.codec_context.flags |= av.codec.context.Flags.bitexact
        for frame in frames(sound):
            file.mux(stream.encode(frame))
        file.mux(stream.encode(None))


def frames(sound: Samples) -> Iterator[av.AudioFrame]:
    """Cut into the frames that the encoder takes."""
    for first in range(0, len(sound), 4096):
        frame = av.AudioFrame.from_ndarray(sound[None, first : first + 4096], "s16", "mono")
        frame.sample_rate = RATE
        frame.pts = first
        yield frame


if __name__ == "__main__":
    main(Path(sys.argv[1]) if len(sys.argv) > 1 else Path(__file__).parent)
