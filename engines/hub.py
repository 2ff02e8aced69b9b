"""Fetches models from Hugging Face's hub, or what `HF_ENDPOINT` names, at one commit of theirs.

A model is put together in a folder beside its place, looked at, and moved to its place when it is
whole. What an interruption leaves is gone on with.
"""

from __future__ import annotations

import fcntl
import hashlib
import shutil
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path, PurePosixPath
from typing import Any

from core.errors import EngineError, InvalidInput, TranscribeError, Unavailable
from core.settings import settings
from engines import manifest
from engines.manifest import Manifest

#: Repositories of the models that have a name of their own.
REPOSITORIES = {
    size: f"Systran/faster-whisper-{size}"
    for size in (
        *("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"),
        *("large-v1", "large-v2", "large-v3"),
    )
}
#: A model is one of these: which file says so.
_KINDS = {"model.bin": "Whisper for CTranslate2", "config.yaml": "a pipeline of pyannote"}
#: Where models are put together, below the folder of models.
_WORKSHOP = ".pulling"


def pull(
    name: str, *, revision: str = "main", place: str | None = None, again: bool = False
) -> Path:
    """Fetch a model by its name or its repository into ``MODEL_DIR``; gives its folder.

    *revision*: a branch, a tag or a commit. *place*: the folder's name, when not that of the model.
    *again*: also where there is one. Raises `EngineError` and `InvalidInput`, which say what helps,
    and `Unavailable` when the hub is not reached.
    """
    ours = settings().model_dir
    repository = _repository(name)
    target = ours / (place or name)
    if target.exists() and not again:
        raise EngineError(f"{target} is there already; --again fetches it anew")
    with _library_errors(repository, revision), _alone(ours, target) as workshop:
        info = _look_up(repository, revision, is_aligner=target.name.startswith("align-"))
        folder = workshop / str(info.sha)
        _fetch(info, repository, folder)
        manifest.write(folder, _looked_at(info, repository, folder))
        _move(folder, target, workshop)
    return target


def _repository(name: str) -> str:
    if name in REPOSITORIES:
        return REPOSITORIES[name]
    parts = name.split("/")
    if len(parts) == 2 and all(part and not part.startswith(".") for part in parts):
        return name
    allowed = ", ".join(REPOSITORIES)
    raise InvalidInput(
        f"there is no model {name!r}; allowed: {allowed}, or a repository of the hub such as "
        f"{settings().pyannote_model}"
    )


@contextmanager
def _alone(ours: Path, target: Path) -> Iterator[Path]:
    """The folder to put the model together in, which no other process uses; removed when done."""
    if not target.resolve().is_relative_to(ours) or target == ours:
        raise InvalidInput(f"{target.name!r} is no name of a folder in MODEL_DIR")
    name = "--".join(target.relative_to(ours).parts)
    workshop = ours / _WORKSHOP / name
    workshop.mkdir(parents=True, exist_ok=True)
    with (ours / _WORKSHOP / f"{name}.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise EngineError(f"another process is fetching {target} now") from None
        yield workshop
        shutil.rmtree(workshop)


def _look_up(repository: str, revision: str, *, is_aligner: bool) -> Any:
    """What the hub knows of the repository, its files with their hashes."""
    from huggingface_hub import HfApi

    info = HfApi(token=settings().hf_token).model_info(
        repository, revision=revision, files_metadata=True
    )
    names = {one.rfilename for one in info.siblings or ()}
    if names.isdisjoint(_KINDS) and not is_aligner:
        kinds = " nor ".join(f"{kind} ({file})" for file, kind in _KINDS.items())
        raise EngineError(f"{repository} holds neither {kinds}")
    return info


def _fetch(info: Any, repository: str, folder: Path) -> None:
    from huggingface_hub import hf_hub_download
    from huggingface_hub.utils import disable_progress_bars

    if not sys.stderr.isatty():
        disable_progress_bars()
    for name in _wanted(info):
        hf_hub_download(
            repository,
            name,
            revision=info.sha,
            local_dir=folder,
            token=settings().hf_token,
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _wanted(info: Any) -> Sequence[str]:
    names = [str(one.rfilename) for one in info.siblings]
    wild = [name for name in names if {"..", "/"} & set(PurePosixPath(name).parts)]
    if wild:
        raise EngineError(f"the hub names files outside their folder: {', '.join(wild)}")
    # Settings of git are no part of the model.
    return [name for name in names if not PurePosixPath(name).parts[0].startswith(".")]


def _looked_at(info: Any, repository: str, folder: Path) -> Manifest:
    """The manifest of what arrived. Raises `EngineError` for what the hub has other hashes of."""
    found = manifest.describe(folder, repository, str(info.sha))
    siblings = {str(one.rfilename): one for one in info.siblings}
    wrong = [
        name for name in found.files if not _is_theirs(siblings.get(name), folder / name, found)
    ]
    for name in wrong:
        (folder / name).unlink()
    if wrong:
        raise EngineError(
            f"{', '.join(wrong)} of {repository} arrived damaged and was removed: pull it once more"
        )
    return found


def _is_theirs(theirs: Any, path: Path, found: Manifest) -> bool:
    """Large files have a SHA-256 there; small ones the hash that git gives them."""
    if theirs is None:
        return False
    if theirs.lfs:
        ours = found.files[str(theirs.rfilename)]
        return bool((ours.size, ours.sha256) == (theirs.lfs.size, theirs.lfs.sha256))
    if not theirs.blob_id:
        return bool(theirs.size is None or theirs.size == path.stat().st_size)
    data = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(data) + data, usedforsecurity=False)
    return blob.hexdigest() == str(theirs.blob_id)


def _move(folder: Path, target: Path, workshop: Path) -> None:
    """Put the model into its place; what was there is out of the way first, and back if need be."""
    before = workshop / "before"
    shutil.rmtree(before, ignore_errors=True)
    target.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileNotFoundError):
        target.rename(before)
    try:
        folder.rename(target)
    except OSError:
        with suppress(FileNotFoundError):
            before.rename(target)
        raise


@contextmanager
def _library_errors(repository: str, revision: str) -> Iterator[None]:
    """What the library raises, as our errors."""
    _look_for_library()
    try:
        yield
    except (OSError, ValueError) as error:
        raise _failure(error, repository, revision) from error


def _look_for_library() -> None:
    try:
        from huggingface_hub import constants
    except ImportError as error:
        raise EngineError(
            "models are pulled with huggingface_hub, which comes with: "
            "pip install 'transcribe[whisperx]'"
        ) from error
    if constants.HF_HUB_OFFLINE:
        raise EngineError("HF_HUB_OFFLINE is set, so nothing is fetched: unset it to pull models")


def _failure(error: Exception, repository: str, revision: str) -> TranscribeError:
    from huggingface_hub import constants, errors

    match error:
        case errors.GatedRepoError():
            return EngineError(_gated(repository))
        case errors.RepositoryNotFoundError():
            return EngineError(_absent(repository))
        case errors.RevisionNotFoundError():
            return EngineError(f"{repository} has no revision {revision!r}")
        case errors.HFValidationError():
            return InvalidInput(f"{repository!r} is no name of a repository: {error}")
        case errors.HfHubHTTPError() if not isinstance(error, errors.LocalEntryNotFoundError):
            return EngineError(f"the hub refuses {repository}: {str(error).partition(chr(10))[0]}")
        case OSError(errno=int()) if not isinstance(error, ConnectionError):
            return EngineError(f"the model cannot be written: {error}")
    return Unavailable(
        f"the hub at {constants.ENDPOINT} does not answer, or broke off: try again later, what has "
        "come is kept; or set HF_ENDPOINT"
    )


def _gated(repository: str) -> str:
    if settings().hf_token is None:
        return f"{repository} asks for a token: accept its conditions there, then set HF_TOKEN"
    return f"{repository} is not open to HF_TOKEN: accept its conditions there, as its owner"


def _absent(repository: str) -> str:
    secret = (
        " or HF_TOKEN does not open it"
        if settings().hf_token
        else "; if it is private, set HF_TOKEN"
    )
    return f"the hub has no repository {repository}{secret}"
