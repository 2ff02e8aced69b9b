"""Makes the sample conversations: two voices of a synthesizer read a text of our own.

    python samples/make_conversation.py [FOLDER]

writes, for each conversation, NAME.flac (16 kHz mono), NAME.txt (the words, one turn a line) and
NAME.rttm (who speaks when), the same bytes each time with the same synthesizer. Needs flite for
English and espeak-ng for Portuguese, which Debian packages, and PyAV, which the project installs.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
from numpy.typing import NDArray

RATE = 16_000

#: Speaker and text, in order.
Turns = Sequence[tuple[str, str]]
#: The samples of a text in the voice of a speaker.
Speak = Callable[[str, str], "NDArray[np.int16]"]

#: Samples quieter than this before and after the words are not part of a turn.
AUDIBLE = 300
#: Pause before each turn in seconds, over and over.
PAUSES = (0.6, 0.4, 0.9, 0.35, 0.7, 1.2, 0.5)

#: Name of the speaker, voice of flite.
ENGLISH_VOICES = {"anna": "slt", "robert": "rms"}

ENGLISH = (
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

#: Name of the speaker, voice of espeak-ng and its pitch (0 to 99).
PORTUGUESE_VOICES = {"marta": ("pt-br+Mario", 75), "paulo": ("pt-br+Mario", 35)}

PORTUGUESE = (
    ("marta", "Bom dia. Você tem um momento para conversar sobre a feira de livros?"),
    ("paulo", "Claro que sim. Eu estava lendo a carta da prefeitura agora mesmo."),
    ("marta", "O que eles disseram?"),
    ("paulo", "Eles vão emprestar a praça grande durante todo o mês de agosto."),
    ("marta", "Que boa notícia. Assim podemos colocar as mesas debaixo das árvores."),
    ("paulo", "E quem passa pela rua vai ver os livros e entrar para conversar."),
    ("marta", "Na primeira noite eu gostaria de ouvir música da nossa região."),
    ("paulo", "Meu irmão toca piano, e os amigos dele têm uma pequena banda."),
    ("marta", "Depois da música, uma professora pode falar sobre a escola."),
    ("paulo", "O que você vai perguntar para ela?"),
    (
        "marta",
        "Quero saber como as crianças aprendem a ler, "
        "e o que os pais podem fazer para ajudar em casa.",
    ),
    ("paulo", "É uma boa pergunta. Muitas famílias vão querer ouvir a resposta."),
    ("marta", "Também precisamos de alguém para cuidar da comida."),
    ("paulo", "Minha mãe faz um bolo de chocolate muito bom, e café para todo mundo."),
    ("marta", "Então temos um plano. Eu telefono para a banda hoje à noite."),
    ("paulo", "E eu escrevo para a escola amanhã de manhã."),
    ("marta", "Muito obrigada. Até quinta-feira, na praça."),
    ("paulo", "Até quinta. Foi um prazer conversar com você."),
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
    """Write the files of all conversations into the folder."""
    write(folder, "conversation", ENGLISH, lambda who, text: flite(ENGLISH_VOICES[who], text))
    write(folder, "conversa", PORTUGUESE, lambda who, text: espeak(*PORTUGUESE_VOICES[who], text))


def write(folder: Path, name: str, turns: Turns, speak: Speak) -> None:
    """Write the three files of one conversation."""
    sound, lines = conversation(turns, speak)
    write_flac(folder / f"{name}.flac", sound)
    (folder / f"{name}.txt").write_text("".join(f"{line.words}\n" for line in lines))
    (folder / f"{name}.rttm").write_text("".join(rttm(name, line) for line in lines))


def conversation(turns: Turns, speak: Speak) -> tuple[Samples, list[Line]]:
    """Speak all turns, one after the other, with a pause before each and a second at the end."""
    parts: list[Samples] = []
    lines: list[Line] = []
    length = 0
    for number, (speaker, text) in enumerate(turns):
        pause = np.zeros(round(PAUSES[number % len(PAUSES)] * RATE), np.int16)
        voice = audible(speak(speaker, text))
        start = length + len(pause)
        length = start + len(voice)
        parts += [pause, voice]
        lines.append(Line(speaker, words(text), start / RATE, length / RATE))
    return np.concatenate([*parts, np.zeros(RATE, np.int16)]), lines


def flite(voice: str, text: str) -> Samples:
    """Have flite read the text; 16 kHz is what its larger voices give."""
    return synthesize("flite", "-voice", voice, "-t", text, "-o")


def espeak(voice: str, pitch: int, text: str) -> Samples:
    """Have espeak-ng read the text, at 120 words a minute."""
    return synthesize("espeak-ng", "-v", voice, "-p", str(pitch), "-s", "120", text, "-w")


def synthesize(program: str, *arguments: str) -> Samples:
    """The samples of the WAV file that the program writes, as 16 kHz mono."""
    if shutil.which(program) is None:
        sys.exit(f"{program} is missing, which speaks the text: apt-get install {program}")
    with tempfile.TemporaryDirectory() as folder:
        spoken = Path(folder) / "spoken.wav"
        subprocess.run([program, *arguments, str(spoken)], check=True)
        with av.open(str(spoken)) as file:
            resampler = av.AudioResampler("s16", "mono", RATE)
            decoded = [*file.decode(audio=0), None]
            blocks = [block for frame in decoded for block in resampler.resample(frame)]
    return np.concatenate([block.to_ndarray()[0] for block in blocks])


def audible(sound: Samples) -> Samples:
    """Leave out the silence before and after, so that turns are where they are said to be."""
    loud = np.flatnonzero(np.abs(sound.astype(np.int32)) > AUDIBLE)
    return sound[loud[0] : loud[-1] + 1]


def words(text: str) -> str:
    """The words as a recogniser writes them."""
    return " ".join(re.findall(r"[^\W\d_']+(?:['-][^\W\d_]+)*", text.lower()))


def rttm(name: str, line: Line) -> str:
    """One line of the NIST rich transcription time marks."""
    times = f"{line.start:.3f} {line.end - line.start:.3f}"
    return f"SPEAKER {name} 1 {times} <NA> <NA> {line.speaker} <NA> <NA>\n"


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
