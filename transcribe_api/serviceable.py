"""Whether an engine can ever work on this machine, where no other machine can do it instead."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from core.errors import TranscribeError, Transient
from core.settings import settings
from engines import catalog
from engines.spec import DiarizerSpec, EngineSpec


class EngineUnavailable(TranscribeError):
    """No worker can do what was asked for, now or later."""

    code = "cannot_serve"


def refuse_unserved(engine: str | None, diarizer: str | None, *, model: str | None = None) -> None:
    """Raise `EngineUnavailable` when one of these is named and this machine can never do its work.

    A name that is not known is left to the service, which says what is allowed; so are a model that
    is not the usual one, and a server that does not answer now.
    """
    for spec in _find_specs(engine, diarizer):
        with suppress(Transient):
            if reason := find_obstacle(spec, uses_default_model=model is None):
                raise EngineUnavailable(f"the {spec.kind} {spec.name} cannot work here: {reason}")


def find_obstacle(
    spec: EngineSpec | DiarizerSpec, *, uses_default_model: bool = True
) -> str | None:
    """What keeps an engine from working here, with what to do about it; None if nothing does.

    *uses_default_model*: look for its usual model, too. Raises `Transient` when its server does
    not answer.
    """
    if not spec.is_installed():
        return catalog.install_hint(spec)
    if spec is catalog.RIVA and settings().riva_uri is None:
        return "set RIVA_URI to the address of a Riva server"
    try:
        if spec.offer and uses_default_model:
            catalog.query_capabilities(spec)
    except Transient:
        raise
    except TranscribeError as error:
        return str(error)
    return None


def _find_specs(engine: str | None, diarizer: str | None) -> Iterator[EngineSpec | DiarizerSpec]:
    if engine in catalog.recognizers():
        yield catalog.recognizer(engine)
    if diarizer in catalog.diarizers():
        yield catalog.diarizer(diarizer)
