"""Which engine is meant by a model's name, of ours or of OpenAI's."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from core import serving
from core.errors import NotFound
from engines import catalog
from engines.catalog import EngineSpec

#: What programs written for OpenAI ask for unless they are told otherwise.
_THEIRS = re.compile(r"whisper-1|gpt-.*transcribe.*")


class UnknownModel(NotFound):
    """No engine of ours goes by this name."""

    code = "model_not_found"


def meant(name: str) -> tuple[str | None, str | None]:
    """The engine, None for the usual one, and its model. Raises `UnknownModel`.

    Names are those of `known`, a model's alone, which stands for the best engine that has it, or
    one of OpenAI's, which stands for the usual engine.
    """
    engine, _, model = name.partition("/")
    if model in ("", *_models(engine)) and engine in catalog.recognizers():
        return engine, model or None
    if _THEIRS.fullmatch(name):
        return None, None
    if any(name in _models(engine) for engine in catalog.recognizers()):
        return catalog.AUTO, name
    raise UnknownModel(f"there is no model {name!r}; allowed: {', '.join(known())}")


def known() -> list[str]:
    """Every engine, and every model of one that has several: ``whisperx/large-v3``."""
    return [name for engine in catalog.recognizers() for name in _names_of(engine, _models(engine))]


def served() -> list[dict[str, Any]]:
    """Those of them that a living worker can load at once, as OpenAI tells of models.

    One that would have to be fetched first is none of them: the worker may reach no hub.
    """
    return [
        told(name)
        for engine, spec in catalog.recognizers().items()
        if serving.workers(spec.queue)
        for name in _names_of(engine, _models_there(spec))
    ]


def told(name: str) -> dict[str, Any]:
    """A model, as OpenAI tells of one. We know of no day on which it was made."""
    return {"id": name, "object": "model", "created": 0, "owned_by": "transcribe"}


def _names_of(engine: str, models: Iterable[str]) -> list[str]:
    return [engine, *(f"{engine}/{model}" for model in models)]


def _models_there(spec: EngineSpec) -> list[str]:
    here = serving.described(spec.queue).get("models_here")
    return [model for model in catalog.models(spec) if here is None or model in here]


def _models(engine: str) -> tuple[str, ...]:
    spec = catalog.recognizers().get(engine)
    return catalog.models(spec) if spec else ()
