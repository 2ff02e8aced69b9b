"""What `auto` stands for: the best engine and the best diarizer that can really work now.

The workers say what they can do, so the service imports no engine. A choice is made once, when a
job is submitted, and stored with the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from core.errors import InvalidInput
from core.live import worker_registry
from core.settings import settings
from engines import catalog
from engines.catalog import AUTO, DIARIZERS_BY_PREFERENCE, ENGINES_BY_PREFERENCE
from engines.spec import EngineSpec


def choose_engine(
    name: str | None, language: str | None = None, model: str | None = None
) -> EngineSpec:
    """The engine of that name; of none or `auto`, the best one that has the language and the model.

    Its models and languages are those that its server has now. Raises `InvalidInput`.
    """
    name = name or settings().default_transcription_engine
    if name != AUTO:
        return _apply_capabilities(catalog.recognizer(name, extra_names=(AUTO,)))
    candidates = [spec for spec in _list_auto_engines(language) if _supports(spec, language, model)]
    if not candidates:
        raise _explain_no_engine(language, model)
    available = (spec for spec in candidates if worker_registry.is_expected(spec.queue))
    # Where no worker has said anything yet, Whisper is what every installation has.
    return next(
        available, next((spec for spec in candidates if spec is catalog.WHISPER), candidates[-1])
    )


def choose_diarizer(
    name: str | None, engine: EngineSpec | None = None, also_allowed: tuple[str, ...] = ()
) -> str:
    """The diarizer of that name; of none or `auto`, the one that suits the engine, or the best one.

    Raises `InvalidInput`. *also_allowed*: what the caller may say in place of a name, for the
    error.
    """
    name = name or settings().default_diarizer
    if name != AUTO:
        return catalog.diarizer(name, extra_names=(AUTO, *also_allowed)).name
    if engine is not None and engine.diarizer in catalog.diarizers():
        return engine.diarizer
    available = (
        candidate
        for candidate in DIARIZERS_BY_PREFERENCE
        if worker_registry.is_expected(catalog.diarizer(candidate).queue)
    )
    return next(available, catalog.CLASSIC.name)


def _list_auto_engines(language: str | None) -> Iterator[EngineSpec]:
    """The engines that jobs may be given to which name none."""
    for name in ENGINES_BY_PREFERENCE:
        spec = _apply_capabilities(catalog.recognizers()[name])
        capabilities = worker_registry.read_capabilities(spec.queue) if spec.offer else {}
        is_local = spec.name in (catalog.WHISPER.name, catalog.SPHINX.name)
        # A server hears what it is asked to hear: without a language that would be its usual one.
        knows_language = spec.detects_language or language is not None or is_local
        if knows_language and capabilities.get("by_default", is_local):
            yield spec


def _supports(spec: EngineSpec, language: str | None, model: str | None) -> bool:
    return catalog.supports_language(spec, language, model) and model in (
        None,
        *catalog.list_models(spec),
    )


def _explain_no_engine(language: str | None, model: str | None) -> InvalidInput:
    if model is not None and not any(
        model in catalog.list_models(spec) for spec in catalog.recognizers().values()
    ):
        allowed = dict.fromkeys(
            name for spec in catalog.recognizers().values() for name in catalog.list_models(spec)
        )
        return InvalidInput(
            f"model: {model!r} is not known; allowed: {', '.join(allowed)}", field="model"
        )
    return InvalidInput(
        f"language: no engine that works here knows {language!r}; name the engine that does",
        field="language",
    )


def _apply_capabilities(engine: EngineSpec) -> EngineSpec:
    """With the models and languages that its server has right now, where a worker told of them."""
    capabilities = worker_registry.read_capabilities(engine.queue) if engine.offer else {}
    if not capabilities.get("models"):
        return engine
    languages = capabilities["languages"] and tuple(capabilities["languages"])
    return replace(engine, models=tuple(capabilities["models"]), languages=languages)
