"""Properties of an engine before it is loaded: name, queue, requirements and features."""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from dataclasses import InitVar, dataclass, field
from importlib.util import find_spec

from core.config import cutting_defaults

#: Processor seconds that a second of audio usually takes with an engine that states none.
DEFAULT_CPU_SECONDS = 0.1


@dataclass(frozen=True, slots=True)
class Requirement:
    """What must be installed before an engine can be loaded."""

    #: Python module that must be importable.
    module: str
    #: Extra of this project that installs it in a checkout: ``pip install -e '.[extra]'``. None for
    #: the base installation.
    extra: str | None = None


@dataclass(frozen=True, slots=True)
class EngineSpec:
    """Properties of a speech engine, for the API server, the planner and the workers."""

    #: Name in requests.
    name: str
    #: Name for people.
    title: str
    #: ``module:Class``; called without arguments in the worker process, returns a `Recognizer`.
    factory: str
    requires: Requirement
    #: MiB of a worker process with the largest model loaded; 0 if the model is on a server.
    memory_mb: int
    #: One process uses all cores, or the whole GPU: more processes would only load the model again.
    fills_machine: bool = False
    #: Length of chunk with the best results (seconds).
    chunk_seconds: float = cutting_defaults.CHUNK_SECONDS
    #: BCP 47 tags, the default one first; a tag without region covers all its regions. None for any
    #: language.
    languages: tuple[str, ...] | None = None
    #: Names of models to choose from, best known first; empty if there is no choice.
    models: tuple[str, ...] = ()
    #: MiB with one of the smaller models loaded.
    model_mb: Mapping[str, int] = field(default_factory=dict, hash=False)
    #: Diarizer of its jobs that name none, instead of the best one; None: the best one.
    diarizer: str | None = None
    #: Accepts expected phrases.
    phrases: bool = False
    #: Accepts a prompt: `JobSpec.initial_prompt`.
    prompts: bool = False
    #: Detects the language.
    detects_language: bool = False
    #: Sometimes skips speech that it transcribes when it gets that interval separately.
    reheard: bool = False
    #: ``module:function`` that returns the engine's `ServerCapabilities`, or raises why there are
    #: none: its server is down, its model is not here. None for an engine that works wherever it is
    #: installed.
    offer: str | None = None
    #: Processor seconds that a second of audio takes with the usual model: see docs/benchmarks.md.
    #: The progress of a job compares it with that of the diarizer.
    cpu_seconds: float = DEFAULT_CPU_SECONDS
    # Plug-ins of version 0.1 may state these two, which nothing reads.
    punctuates: InitVar[bool | None] = None
    tells_speakers: InitVar[bool | None] = None

    kind = "engine"

    def __post_init__(self, punctuates: bool | None, tells_speakers: bool | None) -> None:
        if punctuates is not None or tells_speakers is not None:
            sentence = "EngineSpec: punctuates and tells_speakers have no effect any more"
            warnings.warn(sentence, DeprecationWarning, stacklevel=3)

    @property
    def queue(self) -> str:
        """Return the Celery queue of its chunks."""
        return f"asr.{self.name}"

    def supports_language(self, language: str | None) -> bool:
        """Return whether it supports this language; None, for "detect", suits every engine."""
        if language is None or self.languages is None:
            return True
        return any(covers(spoken, language) for spoken in self.languages)

    def is_installed(self) -> bool:
        """Return whether it could be loaded in this environment. Does not import it."""
        return _is_installed(self)


@dataclass(frozen=True, slots=True)
class DiarizerSpec:
    """Properties of a diarizer, for the API server, the planner and the workers."""

    name: str
    title: str
    #: ``module:Class``; called without arguments in the worker process, returns a `Diarizer`.
    factory: str
    requires: Requirement
    #: MiB of a worker process that works on one shard; 0 if the model is on a server.
    memory_mb: int
    #: A longer recording is cut into shards of about this length (seconds).
    shard_seconds: float = cutting_defaults.SHARD_SECONDS
    #: Speakers of two shards are the same if the cosine distance of their embeddings is lower.
    same_speaker: float = 0.25
    #: As in `EngineSpec`.
    offer: str | None = None
    cpu_seconds: float = DEFAULT_CPU_SECONDS

    kind = "diarizer"

    @property
    def queue(self) -> str:
        """Return the Celery queue of its shards."""
        return f"diarize.{self.name}"

    def is_installed(self) -> bool:
        """Return whether it could be loaded in this environment. Does not import it."""
        return _is_installed(self)


def covers(spoken: str, requested: str) -> bool:
    """Return whether one tag is a prefix of the other: en and en-US, but not en-GB and en-US."""
    spoken_parts, requested_parts = _split_tag(spoken), _split_tag(requested)
    shared = min(len(spoken_parts), len(requested_parts))
    return spoken_parts[:shared] == requested_parts[:shared]


def _is_installed(spec: EngineSpec | DiarizerSpec) -> bool:
    return _is_importable(spec.factory.partition(":")[0]) and _is_importable(spec.requires.module)


def _is_importable(module: str) -> bool:
    """Return whether a module exists.

    `find_spec` imports parents, so the top one is checked first.
    """
    top = module.partition(".")[0]
    try:
        return find_spec(top) is not None and find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _split_tag(language: str) -> tuple[str, ...]:
    return tuple(language.lower().replace("_", "-").split("-"))
