"""Check whether an engine can ever work on this machine, if no other machine can do its work."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

from core.errors import TranscribeError, Transient
from core.settings import settings
from engines import catalog
from engines.spec import DiarizerSpec, EngineSpec


class EngineUnavailable(TranscribeError):
    """No worker can do the requested work, now or later."""

    code = "cannot_serve"


def refuse_unserved(engine: str | None, diarizer: str | None, *, model: str | None = None) -> None:
    """Raise `EngineUnavailable` if this machine can never run a named engine or diarizer.

    An unknown name is left to the service, which reports the allowed ones. The same holds for a
    non-default model, and for a server that does not answer at the moment.
    """
    for spec in _find_specs(engine, diarizer):
        with suppress(Transient):
            if reason := find_obstacle(spec, uses_default_model=model is None):
                raise EngineUnavailable(
                    f"the {spec.kind} {spec.name} cannot work on this machine: {reason}"
                )


def find_obstacle(
    spec: EngineSpec | DiarizerSpec, *, uses_default_model: bool = True
) -> str | None:
    """Return why an engine cannot work here, with a remedy; None if it can.

    *uses_default_model*: check its default model, too. Raises `Transient` if its server does not
    answer.
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
