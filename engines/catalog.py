"""All known engines: their queues, requirements and features.

This module imports no engine and no engine library, so the API server can import it. Other packages
add engines through the entry-point groups ``transcribe.engines`` and ``transcribe.diarizers``: each
entry point names an `EngineSpec` or a `DiarizerSpec`.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import replace
from functools import cache
from importlib import import_module
from importlib.metadata import EntryPoint, entry_points
from typing import TYPE_CHECKING, TypeVar, cast

from core.errors import EngineError, InvalidInput
from core.settings import settings
from engines.spec import DiarizerSpec, EngineSpec, Requirement
from engines.whisper_model.language_names import LANGUAGES as WHISPER_LANGUAGES
from engines.whisper_model.vocabulary import to_whisper_code

if TYPE_CHECKING:
    from engines.base import Diarizer, Recognizer, ServerCapabilities

log = logging.getLogger(__name__)


SPHINX = EngineSpec(
    name="sphinx",
    title="PocketSphinx",
    factory="engines.sphinx:Sphinx",
    requires=Requirement("pocketsphinx"),
    memory_mb=200,
    cpu_seconds=0.2,
    languages=("en-US", "en"),
)
RIVA = EngineSpec(
    name="asr",
    title="ASR",
    factory="engines.riva:Riva",
    requires=Requirement("riva.client", "riva"),
    memory_mb=0,
    phrases=True,
    offer="engines.riva:offer",
)
WHISPER = EngineSpec(
    name="whisper",
    title="Whisper",
    factory="engines.whisper:FasterWhisper",
    requires=Requirement("faster_whisper"),
    memory_mb=9000,
    # Four windows of half a minute, with room to end each in a pause.
    chunk_seconds=108.0,
    # Measured while a model loads, which takes the most (medium is estimated): see `bench.memory`.
    model_mb={
        **dict.fromkeys(("tiny", "tiny.en"), 500),
        **dict.fromkeys(("base", "base.en"), 800),
        **dict.fromkeys(("small", "small.en"), 2000),
        "large-v3-turbo": 2300,
        **dict.fromkeys(("medium", "medium.en"), 5000),
    },
    phrases=True,
    prompts=True,
    detects_language=True,
    reheard=True,
    offer="engines.capabilities:whisper",
)
WHISPERX = EngineSpec(
    name="whisperx",
    title="WhisperX",
    factory="engines.whisperx:WhisperX",
    requires=Requirement("whisperx", "whisperx"),
    memory_mb=6000,
    fills_machine=True,
    # Whisper batches windows of 30 s, so one chunk should fill a batch.
    chunk_seconds=240.0,
    models=("tiny", "base", "small", "medium", "large-v2", "large-v3"),
    # For small models, most of the memory is PyTorch and the alignment model, which is large for a
    # few languages.
    model_mb={"tiny": 2500, "base": 2500, "small": 3000, "medium": 4500},
    phrases=True,
    prompts=True,
    detects_language=True,
    reheard=True,
    offer="engines.capabilities:whisperx",
)
#: Replaces WhisperX if ``WHISPERX_SERVICE_URL`` is set.
REMOTE_WHISPERX = replace(
    WHISPERX,
    memory_mb=0,
    model_mb={},
    factory="engines.remote:RemoteWhisperX",
    requires=Requirement("httpx2"),
    fills_machine=False,
    offer="engines.remote:offer",
)
CLASSIC = DiarizerSpec(
    name="classic",
    title="Classic",
    factory="engines.mfcc_diarizer:MfccDiarizer",
    requires=Requirement("sklearn"),
    memory_mb=500,
    cpu_seconds=0.01,
)
NEURAL = DiarizerSpec(
    name="neural",
    title="Neural",
    factory="engines.neural.diarizer:NeuralDiarizer",
    requires=Requirement("onnx"),
    memory_mb=700,
    cpu_seconds=0.03,
    same_speaker=0.33,
    offer="engines.capabilities:neural",
)
PYANNOTE = DiarizerSpec(
    name="pyannote",
    title="pyannote",
    factory="engines.pyannote:PyannoteDiarizer",
    requires=Requirement("pyannote.audio", "pyannote"),
    memory_mb=3000,
    cpu_seconds=0.2,
    same_speaker=0.5,
    offer="engines.capabilities:pyannote",
)
RIVA_SPEAKERS = DiarizerSpec(
    name="riva",
    title="Riva",
    factory="engines.riva:RivaSpeakers",
    requires=Requirement("riva.client", "riva"),
    memory_mb=0,
    # Its speakers have no embeddings to link shards by, so the recording is not cut.
    shard_seconds=7 * 24 * 3600.0,
)

#: As the name of an engine, a diarizer or a language: the best one available.
AUTO = "auto"
#: Engines and diarizers that `AUTO` can select, best first.
ENGINES_BY_PREFERENCE = (RIVA.name, WHISPERX.name, WHISPER.name, SPHINX.name)
DIARIZERS_BY_PREFERENCE = (PYANNOTE.name, NEURAL.name, CLASSIC.name)

#: Listed here as well, since a checkout that was never installed has no entry points.
_RECOGNIZERS = (WHISPER, SPHINX, RIVA, WHISPERX)
_DIARIZERS = (CLASSIC, NEURAL, PYANNOTE, RIVA_SPEAKERS)


def recognizers() -> dict[str, EngineSpec]:
    """Return all known speech engines by name, built-in ones first, even if none serves them."""
    specs = dict(_discover_recognizers())
    if settings().whisperx_service_url:
        specs[WHISPERX.name] = REMOTE_WHISPERX
    return specs


def diarizers() -> dict[str, DiarizerSpec]:
    """Return all known diarizers by name, built-in ones first, even if no worker serves them."""
    return dict(_discover_diarizers())


def all_specs() -> list[EngineSpec | DiarizerSpec]:
    """Return all known engines and diarizers."""
    return [*recognizers().values(), *diarizers().values()]


def recognizer(name: str, extra_names: tuple[str, ...] = ()) -> EngineSpec:
    """Return the engine called *name*; raise `InvalidInput` for field ``engine`` if unknown.

    *extra_names*: other values that the caller accepts, for the error message.
    """
    return _find_spec(name, recognizers(), "engine", extra_names)


def diarizer(name: str, extra_names: tuple[str, ...] = ()) -> DiarizerSpec:
    """Return a diarizer; as `recognizer`, for the field ``diarizer``."""
    return _find_spec(name, _discover_diarizers(), "diarizer", extra_names)


def list_models(engine: EngineSpec) -> tuple[str, ...]:
    """Return the models that jobs may request; the operator chooses those of Whisper.

    The same holds for a remote WhisperX, as long as its service lists none.
    """
    if engine is WHISPER:
        return settings().whisper_available_models
    is_whisperx = engine in (WHISPERX, REMOTE_WHISPERX)
    return settings().whisperx_available_models if is_whisperx else engine.models


def default_model(engine: EngineSpec) -> str | None:
    """Return the model of a job that names none, for engines with several models."""
    if engine is WHISPER:
        return settings().whisper_default_model
    return settings().whisperx_default_model if engine is WHISPERX else None


def supports_language(engine: EngineSpec, language: str | None, model: str | None = None) -> bool:
    """Return whether the engine supports the language with *model* (None: its default)."""
    if language is None or engine not in (WHISPER, WHISPERX):
        return engine.supports_language(language)
    code = to_whisper_code(language)
    if (model or default_model(engine) or "").endswith(".en"):
        return code == "en"
    return code in WHISPER_LANGUAGES


def memory_mb(spec: EngineSpec | DiarizerSpec, model: str | None = None) -> int:
    """Return the MiB of a worker process with this model loaded; None: with the largest."""
    sizes = spec.model_mb if isinstance(spec, EngineSpec) else {}
    return sizes.get(model or "", spec.memory_mb)


def load_recognizer(spec: EngineSpec, *arguments: object) -> Recognizer:
    """Load a speech engine; see `load`."""
    return cast("Recognizer", load(spec, *arguments))


def load_diarizer(spec: DiarizerSpec, *arguments: object) -> Diarizer:
    """Load a diarizer; see `load`."""
    return cast("Diarizer", load(spec, *arguments))


def load(spec: EngineSpec | DiarizerSpec, *arguments: object) -> object:
    """Import the engine and build it, which allocates its memory and can take minutes.

    *arguments*: extra arguments of a built-in engine; workers pass none. Call it in the process
    that will use the engine, not in one that forks. Raises `EngineError` if the engine is not
    installed, with the command that installs it.
    """
    return _import_attribute(spec, spec.factory)(*arguments)


def query_capabilities(spec: EngineSpec | DiarizerSpec) -> ServerCapabilities:
    """Return what the engine can do at the moment; only for specs with an `offer`.

    Raises `TranscribeError` if it can do nothing or is not installed. As `load`, do not call it in
    a process that forks.
    """
    assert spec.offer is not None
    return cast("ServerCapabilities", _import_attribute(spec, spec.offer)())


def _import_attribute(spec: EngineSpec | DiarizerSpec, path: str) -> Callable[..., object]:
    module, _, name = path.partition(":")
    try:
        return cast("Callable[..., object]", getattr(import_module(module), name))
    except (ImportError, AttributeError) as error:
        raise EngineError(f"{spec.title} cannot be loaded. {install_hint(spec)}") from error


def install_hint(spec: EngineSpec | DiarizerSpec) -> str:
    """Return how to install a missing engine."""
    if spec.requires.extra is None:
        return f"It needs the module {spec.requires.module}."
    return f"Install it in the checkout with: pip install -e '.[{spec.requires.extra}]'"


_Spec = TypeVar("_Spec", EngineSpec, DiarizerSpec)


def _find_spec(
    name: str, specs: dict[str, _Spec], field: str, extra_names: tuple[str, ...]
) -> _Spec:
    if name not in specs:
        allowed = ", ".join([*extra_names, *sorted(specs)])
        raise InvalidInput(f"{field}: {name!r} is unknown; allowed: {allowed}", field=field)
    return specs[name]


@cache
def _discover_recognizers() -> dict[str, EngineSpec]:
    return _index_by_name(_RECOGNIZERS, _load_plugins("transcribe.engines", EngineSpec))


@cache
def _discover_diarizers() -> dict[str, DiarizerSpec]:
    return _index_by_name(_DIARIZERS, _load_plugins("transcribe.diarizers", DiarizerSpec))


def _index_by_name(builtin: Iterable[_Spec], plugins: Iterable[_Spec]) -> dict[str, _Spec]:
    """Index the specs by name. Plugins cannot replace built-in names."""
    specs = {spec.name: spec for spec in builtin}
    for spec in plugins:
        specs.setdefault(spec.name, spec)
    return specs


def _load_plugins(group: str, kind: type[_Spec]) -> Iterator[_Spec]:
    for point in entry_points(group=group):
        spec = _load_entry_point(point)
        if isinstance(spec, kind):
            yield spec
        elif spec is not None:
            log.warning(
                "Ignored entry point %s %s: %r is not a %s", group, point.name, spec, kind.__name__
            )


def _load_entry_point(point: EntryPoint) -> object:
    """Return the object of the entry point, or None if the plugin cannot be imported."""
    try:
        return point.load()
    except Exception:
        log.warning(
            "Ignored entry point %s %s: it cannot be loaded", point.group, point.name, exc_info=True
        )
        return None
