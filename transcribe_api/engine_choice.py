"""Choice of an engine or diarizer for `auto`: the best one that works at the moment.

Workers report what they can do, so the API server imports no engine. The choice is made once, when
a job is submitted, and stored with the job.
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
    """Return the named engine; without a name or for `auto`, the best with the language and model.

    Models and languages are those that the engine's server has now. Raises `InvalidInput`.
    """
    name = name or settings().default_transcription_engine
    if name != AUTO:
        return _apply_capabilities(catalog.recognizer(name, extra_names=(AUTO,)))
    candidates = [spec for spec in _list_auto_engines(language) if _supports(spec, language, model)]
    if not candidates:
        raise _explain_no_engine(language, model)
    available = (spec for spec in candidates if worker_registry.is_expected(spec.queue))
    # As long as no worker has reported, use Whisper, which every installation has.
    return next(
        available, next((spec for spec in candidates if spec is catalog.WHISPER), candidates[-1])
    )


def choose_diarizer(
    name: str | None, engine: EngineSpec | None = None, also_allowed: tuple[str, ...] = ()
) -> str:
    """Return the named diarizer; without a name or for `auto`, the engine's own or the best one.

    Raises `InvalidInput`. *also_allowed*: other values that the caller accepts, for the error
    message.
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
    """Yield the engines that jobs without an engine may use."""
    for name in ENGINES_BY_PREFERENCE:
        spec = _apply_capabilities(catalog.recognizers()[name])
        capabilities = worker_registry.read_capabilities(spec.queue) if spec.offer else {}
        is_local = spec.name in (catalog.WHISPER.name, catalog.SPHINX.name)
        # A server needs a language in the request: without one it would use its default language.
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
            f"model: {model!r} is unknown; allowed: {', '.join(allowed)}", field="model"
        )
    return InvalidInput(
        f"language: no available engine supports {language!r}; name an engine that does",
        field="language",
    )


def _apply_capabilities(engine: EngineSpec) -> EngineSpec:
    """Return the engine with the models and languages that its workers reported."""
    capabilities = worker_registry.read_capabilities(engine.queue) if engine.offer else {}
    if not capabilities.get("models"):
        return engine
    languages = capabilities["languages"] and tuple(capabilities["languages"])
    return replace(engine, models=tuple(capabilities["models"]), languages=languages)
