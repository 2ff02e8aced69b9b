"""An engine and a diarizer written for 0.1 work, and warn of every old name."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

import engines.base
import transcripts.types
from tests import packages
from tests.unit.media import silence, write_wav

ROOT = Path(__file__).resolve().parents[2]

PLUGIN = """
from engines.base import FindsLanguage, Hints, Offer, SpeakerHints
from engines.catalog import DiarizerSpec, EngineSpec, Requirement
from engines import wav
from transcripts.types import Heard, Note, Span, Stretch, Turn, Voices, Word

PARROT = EngineSpec(
    "parrot", "Parrot", "parrot:Parrot", Requirement("parrot"), memory_mb=50,
    languages=("en",), offer="parrot:offer", punctuates=True,
)
NEST = DiarizerSpec("nest", "Nest", "parrot:Nest", Requirement("parrot"), memory_mb=50)


def offer():
    return Offer(models=("grey",), languages=("en",))


class Parrot:
    def transcribe(self, audio, hints: Hints) -> Heard:
        assert len(wav.samples(audio)) == 2 * 16_000 * wav.seconds(audio)
        notes = (Note(0.0, 1.0, "it may have been the cat"),)
        return Heard((Word("hello", 0.1, 0.5, 0.9),), language="en", notes=notes)

    def detect_language(self, audio, hints):
        return "en"


class Nest:
    def diarize(self, audio, hints: SpeakerHints) -> Voices:
        span = Stretch(Span(0.0, 2.0).start, 2.0)
        return Voices((Turn(span.start, span.end, 0),), {0: (1.0, 0.0)})
"""

PROGRAM = """
from pathlib import Path
from engines import catalog
from engines.base import Hints, LanguageDetector, SpeakerHints
engine, diarizer = catalog.recognizer("parrot"), catalog.diarizer("nest")
audio = Path({audio!r})
recognizer = catalog.load_recognizer(engine)
print(recognizer.transcribe(audio, Hints()).words[0].text, isinstance(recognizer, LanguageDetector))
print(catalog.load_diarizer(diarizer).diarize(audio, SpeakerHints()).turns[0].end)
print(catalog.query_capabilities(engine).models)
"""


def test_a_plugin_of_0_1_works_and_every_old_name_is_told(tmp_path: Path):
    site, audio = tmp_path / "site", write_wav(tmp_path / "audio.wav", silence(2))
    packages.install(site, "parrot", PLUGIN, {"parrot": "parrot:PARROT"}, packages.ENGINES)
    (information,) = site.glob("*.dist-info")
    with (information / "entry_points.txt").open("a") as file:
        file.write("[transcribe.diarizers]\nnest = parrot:NEST\n")
    program = PROGRAM.format(audio=str(audio))
    done = subprocess.run(
        [sys.executable, "-W", "always::DeprecationWarning", "-c", program],
        env={**os.environ, "PYTHONPATH": packages.path_with(site, ROOT)},
        capture_output=True, text=True, check=False, timeout=60,
    )  # fmt: skip
    assert done.stdout.splitlines() == ["hello True", "2.0", "('grey',)"], done.stderr
    for old, new in RENAMED.items():
        assert f"{old} was renamed to {new}" in done.stderr
    assert "punctuates and tells_speakers have no effect" in done.stderr


RENAMED = {
    "engines.wav.samples": "read_pcm",
    "engines.wav.seconds": "read_duration",
    "engines.base.FindsLanguage": "LanguageDetector",
    "engines.base.Offer": "ServerCapabilities",
    "transcripts.types.Heard": "Transcription",
    "transcripts.types.Span": "Interval",
    "transcripts.types.Stretch": "ChannelInterval",
    "transcripts.types.Voices": "Diarization",
}


def test_other_names_are_as_unknown_as_ever():
    for module in (engines.base, transcripts.types):
        with pytest.raises(AttributeError, match="has no attribute 'Nonsense'"):
            _ = module.Nonsense
