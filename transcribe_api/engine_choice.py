"""What `auto` stands for: the best engine and the best diarizer that can really work now.

The workers say what they can do, so the service imports no engine. A choice is made once, when a
job is submitted, and stored with the job.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from core import serving
from core.errors import InvalidInput
from core.settings import settings
from engines import catalog
from engines.catalog import AUTO, DIARIZERS_BY_PREFERENCE, ENGINES_BY_PREFERENCE, EngineSpec


def choose_engine(
    name: str | None, language: str | None = None, model: str | None = None
) -> EngineSpec:
    """The engine of that name; of none or `auto`, the best one that has the language and the model.

    Its models and languages are those that its server has now. Raises `InvalidInput`.
    """
    name = name or settings().default_transcription_engine
    if name != AUTO:
        return _as_served(catalog.recognizer(name, besides=(AUTO,)))
    fitting = [spec for spec in _by_preference(language) if _has(spec, language, model)]
    if not fitting:
        raise _no_engine(language, model)
    there = (spec for spec in fitting if serving.is_expected(spec.queue))
    # Where no worker has said anything yet, Whisper is what every installation has.
    return next(there, next((spec for spec in fitting if spec is catalog.WHISPER), fitting[-1]))


def choose_diarizer(
    name: str | None, engine: EngineSpec | None = None, besides: tuple[str, ...] = ()
) -> str:
    """The diarizer of that name; of none or `auto`, the one that suits the engine, or the best one.

    Raises `InvalidInput`. *besides*: what the caller may say in place of a name, for the error.
    """
    name = name or settings().default_diarizer
    if name != AUTO:
        return catalog.diarizer(name, besides=(AUTO, *besides)).name
    if engine is not None and engine.diarizer in catalog.diarizers():
        return engine.diarizer
    there = (
        known
        for known in DIARIZERS_BY_PREFERENCE
        if serving.is_expected(catalog.diarizer(known).queue)
    )
    return next(there, catalog.CLASSIC.name)


def _by_preference(language: str | None) -> Iterator[EngineSpec]:
    """The engines that jobs may be given to which name none."""
    for name in ENGINES_BY_PREFERENCE:
        spec = _as_served(catalog.recognizers()[name])
        told = serving.described(spec.queue) if spec.offer else {}
        is_local = spec.name in (catalog.WHISPER.name, catalog.SPHINX.name)
        # A server hears what it is asked to hear: without a language that would be its usual one.
        is_known = spec.detects_language or language is not None or is_local
        if is_known and told.get("by_default", is_local):
            yield spec


def _has(spec: EngineSpec, language: str | None, model: str | None) -> bool:
    return catalog.speaks(spec, language, model) and model in (None, *catalog.models(spec))


def _no_engine(language: str | None, model: str | None) -> InvalidInput:
    if model is not None and not any(
        model in catalog.models(spec) for spec in catalog.recognizers().values()
    ):
        known = dict.fromkeys(
            one for spec in catalog.recognizers().values() for one in catalog.models(spec)
        )
        return InvalidInput(
            f"model: {model!r} is not known; allowed: {', '.join(known)}", field="model"
        )
    return InvalidInput(
        f"language: no engine that works here knows {language!r}; name the engine that does",
        field="language",
    )


def _as_served(engine: EngineSpec) -> EngineSpec:
    """With the models and languages that its server has right now, where a worker told of them."""
    told = serving.described(engine.queue) if engine.offer else {}
    if not told.get("models"):
        return engine
    languages = told["languages"] and tuple(told["languages"])
    return replace(engine, models=tuple(told["models"]), languages=languages)
