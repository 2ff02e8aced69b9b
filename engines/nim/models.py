"""The models of a Riva server, and which of them a chunk is for."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import EngineError
from engines.spec import covers

#: As RIVA_MODEL: whatever suits the language.
AUTO = "auto"
#: As a model's language: any that it knows, found out by itself.
ANY = "multi"

#: Containers are named after the kind of network, their models are not.
_NOT_IN_MODELS = {"ctc", "rnnt", "tdt"}


@dataclass(frozen=True, slots=True)
class Model:
    """A model as the server lists it."""

    name: str
    #: Hears streams only; else whole recordings only. A model for both is listed twice.
    streams: bool
    #: Language tags, or `ANY`.
    languages: tuple[str, ...]

    def tag(self, asked: str) -> str | None:
        """The model's own tag for a language, or None when it does not know it."""
        own = next((tag for tag in self.languages if covers(tag, asked)), None)
        return own or (ANY if ANY in self.languages else None)


def choose(models: Sequence[Model], wanted: str, language: str) -> tuple[Model, ...]:
    """The models that will do, one for whole recordings first.

    *wanted* is a name from the list, the name of a container, or `AUTO`. Raises `EngineError` with
    what there is instead.
    """
    named = _named(models, wanted)
    if not named:
        there = ", ".join(model.name for model in models)
        raise EngineError(
            f"Riva has no model {wanted!r}, but: {there}. RIVA_MODEL may be one of them or {AUTO!r}"
        )
    fitting = [model for model in named if model.tag(language)]
    if not fitting:
        there = ", ".join(dict.fromkeys(tag for model in named for tag in model.languages))
        raise EngineError(f"Riva's model {wanted!r} does not know {language!r}, but: {there}")
    return tuple(sorted(fitting, key=lambda model: model.streams))


def _named(models: Sequence[Model], wanted: str) -> list[Model]:
    if wanted == AUTO:
        return list(models)
    exact = [model for model in models if model.name == wanted]
    return exact or [model for model in models if _parts(wanted) <= _parts(model.name)]


def _parts(name: str) -> set[str]:
    """What a name is made of: parakeet-0-6b-ctc-en-us is parakeet-0.6b-en-US-asr-offline-..."""
    return set(re.findall(r"[a-z]+|[0-9]+[a-z]*", name.lower())) - _NOT_IN_MODELS
