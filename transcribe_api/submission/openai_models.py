"""Resolve a model name, ours or OpenAI's, to an engine."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from core.errors import NotFound
from core.live import worker_registry
from engines import catalog
from engines.spec import EngineSpec

#: Default models of programs written for OpenAI.
_OPENAI_MODELS = re.compile(r"whisper-1|gpt-.*transcribe.*")


class UnknownModel(NotFound):
    """No engine has this model."""

    code = "model_not_found"


def resolve_model(name: str) -> tuple[str | None, str | None]:
    """Return the engine (None: the default) and its model. Raises `UnknownModel`.

    A name is one of `list_models`; a model alone, for the best engine that has it; or one of
    OpenAI's, for the default engine.
    """
    engine, _, model = name.partition("/")
    if model in ("", *_list_engine_models(engine)) and engine in catalog.recognizers():
        return engine, model or None
    if _OPENAI_MODELS.fullmatch(name):
        return None, None
    if any(name in _list_engine_models(engine) for engine in catalog.recognizers()):
        return catalog.AUTO, name
    raise UnknownModel(f"there is no model {name!r}; allowed: {', '.join(list_models())}")


def list_models() -> list[str]:
    """Return every engine, and every model of engines with several: ``whisperx/large-v3``."""
    return [
        name
        for engine in catalog.recognizers()
        for name in _list_names(engine, _list_engine_models(engine))
    ]


def list_served_models() -> list[dict[str, Any]]:
    """Return the models that a live worker can load at once, in OpenAI's form.

    Models that must be downloaded first are left out, since the worker may not reach a hub.
    """
    return [
        describe_model(name)
        for engine, spec in catalog.recognizers().items()
        if worker_registry.count_workers(spec.queue)
        for name in _list_names(engine, _list_loadable_models(spec))
    ]


def describe_model(name: str) -> dict[str, Any]:
    """Return a model in OpenAI's form. Its creation date is unknown."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "transcribe"}


def _list_names(engine: str, models: Iterable[str]) -> list[str]:
    return [engine, *(f"{engine}/{model}" for model in models)]


def _list_loadable_models(spec: EngineSpec) -> list[str]:
    loadable = worker_registry.read_capabilities(spec.queue).get("models_here")
    return [model for model in catalog.list_models(spec) if loadable is None or model in loadable]


def _list_engine_models(engine: str) -> tuple[str, ...]:
    spec = catalog.recognizers().get(engine)
    return catalog.list_models(spec) if spec else ()
