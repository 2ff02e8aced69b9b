"""What is known of an engine before it is loaded: its name, its queue, its needs, its abilities."""

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
    """A speech engine, as the service, the planner and the workers see it."""

    #: As requests say it.
    name: str
    #: As people say it.
    title: str
    #: ``module:Class``; called without arguments in the worker process, gives a `Recognizer`.
    factory: str
    requires: Requirement
    #: MiB of a worker process with the largest model in it; 0 when the model is on a server.
    memory_mb: int
    #: One process of it uses all cores, or the whole GPU: more would only load the model again.
    fills_machine: bool = False
    #: Length of chunk that it works best with.
    chunk_seconds: float = cutting_defaults.CHUNK_SECONDS
    #: BCP 47 tags, the usual one first; a tag without region stands for all its regions. None for
    #: any language.
    languages: tuple[str, ...] | None = None
    #: Names of models to choose from, best known first; empty when there is no choice.
    models: tuple[str, ...] = ()
    #: MiB with one of the smaller of these in it.
    model_mb: Mapping[str, int] = field(default_factory=dict, hash=False)
    #: The diarizer of its jobs that name none, where the best one is meant; None: the best one.
    diarizer: str | None = None
    #: Can be told which phrases to expect.
    phrases: bool = False
    #: Reads a text before it listens: `JobSpec.initial_prompt`.
    prompts: bool = False
    #: Finds out the language by itself.
    detects_language: bool = False
    #: Passes over speech now and then that it hears when it is given that interval by itself.
    reheard: bool = False
    #: ``module:function`` that gives the `ServerCapabilities` of the engine, or raises why it has
    #: none: its server is away, its model is not here. None for one that can work wherever a
    #: worker has it.
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
        """Celery queue of its chunks."""
        return f"asr.{self.name}"

    def supports_language(self, language: str | None) -> bool:
        """Whether it can be given this language; None, for "find out", suits every engine."""
        if language is None or self.languages is None:
            return True
        return any(covers(spoken, language) for spoken in self.languages)

    def is_installed(self) -> bool:
        """Whether it could be loaded in this environment. Does not import it."""
        return _is_installed(self)


@dataclass(frozen=True, slots=True)
class DiarizerSpec:
    """A diarizer, as the service, the planner and the workers see it."""

    name: str
    title: str
    #: ``module:Class``; called without arguments in the worker process, gives a `Diarizer`.
    factory: str
    requires: Requirement
    #: MiB of a worker process that works on one shard; 0 when the model is on a server.
    memory_mb: int
    #: A longer recording is given in shards of about this length.
    shard_seconds: float = cutting_defaults.SHARD_SECONDS
    #: Speakers of two shards are one when the cosine distance of their embeddings is less.
    same_speaker: float = 0.25
    #: As of `EngineSpec`.
    offer: str | None = None
    cpu_seconds: float = DEFAULT_CPU_SECONDS

    kind = "diarizer"

    @property
    def queue(self) -> str:
        """Celery queue of its shards."""
        return f"diarize.{self.name}"

    def is_installed(self) -> bool:
        """Whether it could be loaded in this environment. Does not import it."""
        return _is_installed(self)


def covers(spoken: str, requested: str) -> bool:
    """Whether one is the other with more or fewer subtags: en and en-US, not en-GB and en-US."""
    spoken_parts, requested_parts = _split_tag(spoken), _split_tag(requested)
    shared = min(len(spoken_parts), len(requested_parts))
    return spoken_parts[:shared] == requested_parts[:shared]


def _is_installed(spec: EngineSpec | DiarizerSpec) -> bool:
    return _is_importable(spec.factory.partition(":")[0]) and _is_importable(spec.requires.module)


def _is_importable(module: str) -> bool:
    """Look for a module; packages above it are imported, so look for the top one first."""
    top = module.partition(".")[0]
    try:
        return find_spec(top) is not None and find_spec(module) is not None
    except (ImportError, ValueError):
        return False


def _split_tag(language: str) -> tuple[str, ...]:
    return tuple(language.lower().replace("_", "-").split("-"))
