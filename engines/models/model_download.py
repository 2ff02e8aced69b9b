"""Fetches files of models from Hugging Face's hub, or what `HF_ENDPOINT` names, at one commit.

What an interruption leaves is gone on with. A hub that is not there is found out in seconds.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import Any

from huggingface_hub import HfApi, configure_http_backend, constants, errors, hf_hub_download
from huggingface_hub.utils.tqdm import disable_progress_bars

from core.errors import EngineError, InvalidInput, TranscribeError, Unavailable
from core.settings import settings
from engines.models import model_manifest
from engines.models.download_progress import DownloadMeter
from engines.models.hub_session import build_session
from engines.models.model_manifest import FileDigest
from engines.models.pinned_models import PinnedModel
from engines.models.verification import verify_file

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


def fetch_repository(
    repository: str, revision: str, staging: Path, meter: DownloadMeter, *, is_aligner: bool
) -> Path:
    """Fetch all files of a repository; gives the folder that they and a manifest are in.

    Raises `EngineError` and `InvalidInput`, which say what helps, and `Unavailable` when the hub is
    not reached.
    """
    with _translate_errors(repository, revision):
        info = _fetch_info(repository, revision)
        _check_kind(info, repository, is_aligner=is_aligner)
        folder, names = staging / str(info.sha), _select_files(info)
        _download(info, repository, names, folder, meter, _sum_sizes(info, names))
        _verify_download(info, repository, names, folder)
        model_manifest.write(folder, model_manifest.describe(folder, repository, str(info.sha)))
    return folder


def fetch_files(
    model: PinnedModel, names: Sequence[str], folder: Path, meter: DownloadMeter
) -> None:
    """Fetch some files of a pinned model. Raises as `fetch_repository`, and `WrongBytes`."""
    with _translate_errors(model.repository, model.revision):
        info = _fetch_info(model.repository, model.revision)
        _download(info, model.repository, names, folder, meter, _sum_sizes(info, model.files))
        for name in names:
            if expected := model.files[name]:
                verify_file(folder / name, expected, f"the hub at {find_endpoint()}")
        _verify_download(info, model.repository, names, folder)


def find_endpoint() -> str:
    """The hub's address, as the library reads it."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


def _fetch_info(repository: str, revision: str) -> Any:
    """What the hub knows of the repository, its files with their hashes."""
    configure_http_backend(build_session)
    return HfApi(find_endpoint(), token=settings().hf_token).model_info(
        repository, revision=revision, files_metadata=True
    )


def _check_kind(info: Any, repository: str, *, is_aligner: bool) -> None:
    names = {sibling.rfilename for sibling in info.siblings or ()}
    if names.isdisjoint(_KINDS) and not is_aligner:
        kinds = " nor ".join(f"{kind} ({file})" for file, kind in _KINDS.items())
        raise EngineError(f"{repository} holds neither {kinds}")


def _download(
    info: Any, repository: str, names: Sequence[str], folder: Path, meter: DownloadMeter, total: int
) -> None:
    meter.start("the hub", folder, total)
    # Its protocol for large files keeps copies in the home directory and goes on with none.
    constants.HF_HUB_DISABLE_XET = True
    disable_progress_bars()  # it has one for each file
    for name in names:
        hf_hub_download(
            repository,
            name,
            revision=info.sha,
            local_dir=folder,
            endpoint=find_endpoint(),
            token=settings().hf_token,
        )
    shutil.rmtree(folder / ".cache", ignore_errors=True)


def _sum_sizes(info: Any, names: Iterable[str]) -> int:
    """The bytes of some files. Raises `EngineError` for those that are not there."""
    sizes = {str(sibling.rfilename): int(sibling.size or 0) for sibling in info.siblings or ()}
    if absent := [name for name in names if name not in sizes]:
        raise EngineError(f"{info.id} on the hub lacks {', '.join(absent)}")
    return sum(sizes[name] for name in names)


def _select_files(info: Any) -> Sequence[str]:
    names = [str(sibling.rfilename) for sibling in info.siblings or ()]
    unsafe = [name for name in names if {"..", "/"} & set(PurePosixPath(name).parts)]
    if unsafe:
        raise EngineError(f"the hub names files outside their folder: {', '.join(unsafe)}")
    # Settings of git are no part of the model.
    return [name for name in names if not PurePosixPath(name).parts[0].startswith(".")]


def _verify_download(info: Any, repository: str, names: Iterable[str], folder: Path) -> None:
    """Raise `EngineError`, and remove them, for files that the hub has other hashes of."""
    siblings = {str(sibling.rfilename): sibling for sibling in info.siblings or ()}
    damaged = [name for name in names if not _is_intact(siblings[name], folder / name)]
    for name in damaged:
        (folder / name).unlink()
    if damaged:
        raise EngineError(
            f"{', '.join(damaged)} of {repository} arrived damaged and was removed: pull it once "
            "more"
        )


def _is_intact(sibling: Any, path: Path) -> bool:
    """Large files have a SHA-256 there; small ones the hash that git gives them."""
    if sibling.lfs:
        expected = FileDigest(sibling.lfs.size, sibling.lfs.sha256)
        return model_manifest.digest_file(path) == expected
    if not sibling.blob_id:
        return bool(sibling.size is None or sibling.size == path.stat().st_size)
    content = path.read_bytes()
    blob = hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False)
    return blob.hexdigest() == str(sibling.blob_id)


@contextmanager
def _translate_errors(repository: str, revision: str) -> Iterator[None]:
    """What the library raises, as our errors."""
    if constants.HF_HUB_OFFLINE:
        raise EngineError("HF_HUB_OFFLINE is set, so nothing is fetched: unset it to pull models")
    try:
        yield
    except (OSError, ValueError) as error:
        raise _convert_error(error, repository, revision) from error


def _convert_error(error: Exception, repository: str, revision: str) -> TranscribeError:
    match error:
        case errors.GatedRepoError():
            return EngineError(_explain_gated(repository))
        case errors.RepositoryNotFoundError():
            return EngineError(_explain_absent(repository))
        case errors.RevisionNotFoundError():
            return EngineError(f"{repository} has no revision {revision!r}")
        case errors.HFValidationError():
            return InvalidInput(f"{repository!r} is no name of a repository: {error}")
        case errors.HfHubHTTPError() if not isinstance(error, errors.LocalEntryNotFoundError):
            return EngineError(f"the hub refuses {repository}: {str(error).partition(chr(10))[0]}")
        case OSError(errno=int()) if not isinstance(error, ConnectionError):
            return EngineError(f"the model cannot be written: {error}")
    return Unavailable(
        f"the hub at {find_endpoint()} does not answer, or broke off (what has come is kept; "
        "HF_ENDPOINT names another hub)"
    )


def _explain_gated(repository: str) -> str:
    if settings().hf_token is None:
        return f"{repository} asks for a token: accept its conditions there, then set HF_TOKEN"
    return f"{repository} is not open to HF_TOKEN: accept its conditions there, as its owner"


def _explain_absent(repository: str) -> str:
    token_hint = (
        " or HF_TOKEN does not open it"
        if settings().hf_token
        else "; if it is private, set HF_TOKEN"
    )
    return f"the hub has no repository {repository}{token_hint}"
