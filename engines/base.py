"""Protocols of speech engines and diarizers, and the hints that they get.

An engine's only state is its model. It does not use the database, the storage or the queue. Each
worker process builds it once, when its first chunk arrives.
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
    """Information about a chunk before it is transcribed."""

    #: BCP 47 tag (``en-US``) or two letters; None: the engine detects the language.
    language: str | None = None
    #: Name of the model, for engines that have several; None for the engine's default.
    model: str | None = None
    #: Expected phrases and their weights (Riva's scale, -100..100).
    phrases: Mapping[str, float] = field(default_factory=dict)
    #: Text for engines that accept a prompt, to set spelling, script and style.
    initial_prompt: str | None = None


@dataclass(frozen=True, slots=True)
class SpeakerHints:
    """Information about the speakers of the whole recording; None where unknown."""

    min_speakers: int | None = None
    max_speakers: int | None = None


@dataclass(frozen=True, slots=True)
class ServerCapabilities:
    """What an engine that depends on more than its library can do at the moment."""

    #: Names of models, the default one first; empty: those that the settings name.
    models: tuple[str, ...] = ()
    #: BCP 47 tags, the default one first; None for any.
    languages: tuple[str, ...] | None = None
    #: Whether jobs that name no engine may use it.
    by_default: bool = True
    #: Its models that are on the worker's machine; None if all are on a server.
    models_here: tuple[str, ...] | None = None


class Recognizer(Protocol):
    """Transcribes speech. One instance per process, loaded once."""

    def transcribe(self, audio: Path, hints: Hints) -> Transcription:
        """Transcribe a 16 kHz mono 16-bit WAV file, with the same words each time.

        Raises `EngineError` if it cannot, `Transient` if another attempt may help.
        """
        ...


@runtime_checkable
class LanguageDetector(Protocol):
    """A recognizer that can detect the language of a recording before transcribing it."""

    def detect_language(self, audio: Sequence[Path], hints: Hints) -> str:
        """Return the language that fits the pieces of one recording best, deterministically."""
        ...


class Diarizer(Protocol):
    """Detects who speaks when. One instance per process, loaded once."""

    def diarize(self, audio: Path, hints: SpeakerHints) -> Diarization:
        """Find the speaker turns of a 16 kHz mono 16-bit WAV file, deterministically.

        Raises `EngineError` if it cannot, `Transient` if another attempt may help.
        """
        ...


if not TYPE_CHECKING:  # a type checker would not report missing names otherwise

    def __getattr__(name: str) -> object:
        return find_renamed(__name__, name)
