"""Download model files from Hugging Face's hub, or from `HF_ENDPOINT`, at one commit.

Interrupted downloads are resumed. An unreachable hub is detected within seconds.
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

#: Repositories of the models that have a short name.
REPOSITORIES = {
    size: f"Systran/faster-whisper-{size}"
    for size in (
        *("tiny", "tiny.en", "base", "base.en", "small", "small.en", "medium", "medium.en"),
        *("large-v1", "large-v2", "large-v3"),
    )
}
#: The file that identifies each kind of model.
_KINDS = {"model.bin": "Whisper for CTranslate2", "config.yaml": "a pipeline of pyannote"}


def fetch_repository(
    repository: str, revision: str, staging: Path, meter: DownloadMeter, *, is_aligner: bool
) -> Path:
    """Download all files of a repository; return the folder with these and a manifest.

    Raises `EngineError` and `InvalidInput`, whose messages state a remedy, and `Unavailable` if the
    hub cannot be reached.
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
    """Download some files of a pinned model. Raises as `fetch_repository`, and `WrongBytes`."""
    with _translate_errors(model.repository, model.revision):
        info = _fetch_info(model.repository, model.revision)
        _download(info, model.repository, names, folder, meter, _sum_sizes(info, model.files))
        for name in names:
            if expected := model.files[name]:
                verify_file(folder / name, expected, f"the hub at {find_endpoint()}")
        _verify_download(info, model.repository, names, folder)


def find_endpoint() -> str:
    """Return the hub's address, as the library reads it."""
    return os.environ.get("HF_ENDPOINT", "").rstrip("/") or constants.ENDPOINT


def _fetch_info(repository: str, revision: str) -> Any:
    """Return the hub's information about the repository, with its files and their hashes."""
    configure_http_backend(build_session)
    return HfApi(find_endpoint(), token=settings().hf_token).model_info(
        repository, revision=revision, files_metadata=True
    )


def _check_kind(info: Any, repository: str, *, is_aligner: bool) -> None:
    names = {sibling.rfilename for sibling in info.siblings or ()}
    if names.isdisjoint(_KINDS) and not is_aligner:
        kinds = " nor ".join(f"{kind} ({file})" for file, kind in _KINDS.items())
        raise EngineError(f"{repository} contains neither {kinds}")


def _download(
    info: Any, repository: str, names: Sequence[str], folder: Path, meter: DownloadMeter, total: int
) -> None:
    meter.start("the hub", folder, total)
    # The hub's protocol for large files keeps copies in the home directory and does not resume.
    constants.HF_HUB_DISABLE_XET = True
    disable_progress_bars()  # there is one per file
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
    """Return the total bytes of some files; raise `EngineError` if one does not exist."""
    sizes = {str(sibling.rfilename): int(sibling.size or 0) for sibling in info.siblings or ()}
    if absent := [name for name in names if name not in sizes]:
        raise EngineError(f"{info.id} on the hub has no {', '.join(absent)}")
    return sum(sizes[name] for name in names)


def _select_files(info: Any) -> Sequence[str]:
    names = [str(sibling.rfilename) for sibling in info.siblings or ()]
    unsafe = [name for name in names if {"..", "/"} & set(PurePosixPath(name).parts)]
    if unsafe:
        raise EngineError(f"the hub names files outside their folder: {', '.join(unsafe)}")
    # Git settings are not part of the model.
    return [name for name in names if not PurePosixPath(name).parts[0].startswith(".")]


def _verify_download(info: Any, repository: str, names: Iterable[str], folder: Path) -> None:
    """Remove files whose hash differs from the hub's, and raise `EngineError`."""
    siblings = {str(sibling.rfilename): sibling for sibling in info.siblings or ()}
    damaged = [name for name in names if not _is_intact(siblings[name], folder / name)]
    for name in damaged:
        (folder / name).unlink()
    if damaged:
        raise EngineError(
            f"{', '.join(damaged)} of {repository} was damaged in transfer and removed: pull the "
            "model again"
        )


def _is_intact(sibling: Any, path: Path) -> bool:
    """Return whether the hash matches: SHA-256 for large files, Git's blob hash for small ones."""
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
    """Convert the library's exceptions to errors of `core.errors`."""
    if constants.HF_HUB_OFFLINE:
        raise EngineError(
            "HF_HUB_OFFLINE is set, so nothing is downloaded: unset it to pull models"
        )
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
            return InvalidInput(f"{repository!r} is not a repository name: {error}")
        case errors.HfHubHTTPError() if not isinstance(error, errors.LocalEntryNotFoundError):
            return EngineError(f"the hub refused {repository}: {str(error).partition(chr(10))[0]}")
        case OSError(errno=int()) if not isinstance(error, ConnectionError):
            return EngineError(f"the model cannot be written: {error}")
    return Unavailable(
        f"the hub at {find_endpoint()} does not answer, or closed the connection (the partial "
        "download is kept; HF_ENDPOINT selects another hub)"
    )


def _explain_gated(repository: str) -> str:
    if settings().hf_token is None:
        return f"{repository} requires a token: accept its conditions on the hub, then set HF_TOKEN"
    return (
        f"HF_TOKEN gives no access to {repository}: the owner of the token must accept its "
        "conditions on the hub"
    )


def _explain_absent(repository: str) -> str:
    token_hint = (
        " or HF_TOKEN gives no access to it"
        if settings().hf_token
        else "; if it is private, set HF_TOKEN"
    )
    return f"the hub has no repository {repository}{token_hint}"
