"""The models of a Riva server, and the choice of one for a chunk."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from core.errors import EngineError
from engines.spec import covers

#: Value of RIVA_MODEL: any model that supports the language.
AUTO = "auto"
#: Language of a model that detects the language itself.
ANY = "multi"

#: Names of containers include the architecture, names of models do not.
_ARCHITECTURES = {"ctc", "rnnt", "tdt"}


@dataclass(frozen=True, slots=True)
class RivaModel:
    """A model as the server lists it."""

    name: str
    #: Accepts streams only, else whole recordings only. A model for both is listed twice.
    streams: bool
    #: Language tags, or `ANY`.
    languages: tuple[str, ...]

    def find_tag(self, language: str) -> str | None:
        """Return the model's own tag for a language, or None if it is not supported."""
        match = next((tag for tag in self.languages if covers(tag, language)), None)
        return match or (ANY if ANY in self.languages else None)


def choose_models(models: Sequence[RivaModel], name: str, language: str) -> tuple[RivaModel, ...]:
    """Return the suitable models, those for whole recordings first.

    *name* is a name from the list, the name of a container, or `AUTO`. Raises `EngineError` with
    the available names if there is none.
    """
    matching = _find_models(models, name)
    if not matching:
        available = ", ".join(model.name for model in models)
        raise EngineError(
            f"Riva has no model {name!r}; available: {available}. Set RIVA_MODEL to one of them "
            f"or to {AUTO!r}"
        )
    fitting = [model for model in matching if model.find_tag(language)]
    if not fitting:
        available = ", ".join(dict.fromkeys(tag for model in matching for tag in model.languages))
        raise EngineError(
            f"Riva's model {name!r} does not support {language!r}; available: {available}"
        )
    return tuple(sorted(fitting, key=lambda model: model.streams))


def _find_models(models: Sequence[RivaModel], name: str) -> list[RivaModel]:
    if name == AUTO:
        return list(models)
    exact = [model for model in models if model.name == name]
    return exact or [model for model in models if _split_name(name) <= _split_name(model.name)]


def _split_name(name: str) -> set[str]:
    """Return the parts of a name: parakeet-0-6b-ctc-en-us is parakeet-0.6b-en-US-asr-offline-..."""
    return set(re.findall(r"[a-z]+|[0-9]+[a-z]*", name.lower())) - _ARCHITECTURES
