"""What a speech engine and a diarizer are: two protocols and the hints they are given.

An engine has no state but its model. It knows neither database nor storage nor queue, and it is
built once a worker process, when its first chunk arrives.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from transcripts.deprecated_names import find_renamed
from transcripts.types import Diarization, Transcription


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known of a chunk before it is heard."""

    #: BCP 47 tag (``en-US``) or two letters; None lets the engine find out.
    language: str | None = None
    #: Name of the model, for engines that have several; None for the engine's default.
    model: str | None = None
    #: Phrases to expect and how strongly (Riva's scale, -100..100).
    phrases: Mapping[str, float] = field(default_factory=dict)
    #: Text that an engine which reads before it listens is to read: spelling, script, style.
    initial_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class SpeakerHints:
    """What is known of the speakers of the whole recording, None where nothing is."""

    min_speakers: int | None = None
    max_speakers: int | None = None


@dataclass(frozen=True, slots=True)
class ServerCapabilities:
    """What an engine that depends on more than its library has right now."""

    #: Names of models, the usual one first; empty: those that its settings name.
    models: tuple[str, ...] = ()
    #: BCP 47 tags, the usual one first; None for any.
    languages: tuple[str, ...] | None = None
    #: Whether jobs that name no engine may be given to it.
    by_default: bool = True
    #: Those of its models that lie on the machine of the worker; None where all are on a server.
    models_here: tuple[str, ...] | None = None


class Recognizer(Protocol):
    """Turns speech into words. One instance a process, loaded once."""

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        """Hear a 16 kHz mono 16-bit WAV file. The same file gives the same words each time.

        Raises `EngineError` when it cannot, `Transient` when another try may help.
        """
        ...


@runtime_checkable
class LanguageDetector(Protocol):
    """A recognizer that can tell the language of a recording before it writes anything down."""

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        """The language that fits some pieces of one recording best, the same each time."""
        ...


class Diarizer(Protocol):
    """Finds who speaks when. One instance a process, loaded once."""

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        """Find the speaker turns of a 16 kHz mono 16-bit WAV file, deterministically.

        Raises `EngineError` when it cannot, `Transient` when another try may help.
        """
        ...


if not TYPE_CHECKING:  # where it would hide that a name is not there

    def __getattr__(name: str) -> object:
        return find_renamed(__name__, name)
