"""Download the recording of a job from the address given by its caller."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx2
import structlog

from core import safe_http
from core.db.transactions import transaction
from core.errors import TooLarge, TranscribeError, Transient
from core.filesystem import free_space, private_files
from core.jobs import fetched_sources
from core.settings import settings
from core.storage import layout, storage

log = structlog.get_logger(__name__)

#: Seconds that one attempt may take.
TIMEOUT_SECONDS = 1800.0

#: Statuses that a retry may change.
_TRANSIENT_STATUSES = {
    HTTPStatus.REQUEST_TIMEOUT,
    HTTPStatus.TOO_EARLY,
    HTTPStatus.TOO_MANY_REQUESTS,
}


class SourceUnavailable(TranscribeError):
    """The address does not provide the recording."""

    code = "source_unavailable"


class SourceInterrupted(Transient):
    """The address did not provide the complete recording this time."""

    code = "source_unavailable"


@dataclass(frozen=True, slots=True)
class _DownloadResult:
    size: int
    sha256: str


def fetch_source(job_id: str, owner: str, url: str, folder: Path) -> bool:
    """Download and store the job's recording. Safe to run twice.

    Return False if this owner has lost the job meanwhile.
    """
    path = folder / "fetched"
    log.info("fetching", url=safe_http.redact_url(url))
    download = _download(url, path)
    storage().move_file(layout.source(job_id), path)
    path.unlink(missing_ok=True)
    with transaction() as session:
        return fetched_sources.record_source(
            session, job_id, owner, size=download.size, sha256=download.sha256
        )


def _download(url: str, path: Path) -> _DownloadResult:
    try:
        with safe_http.send_request(
            "GET",
            url,
            field="source_url",
            seconds=TIMEOUT_SECONDS,
            redirects=safe_http.MAX_REDIRECTS,
        ) as response:
            _check_status(response.status_code)
            return _write_body(response, path)
    except httpx2.TooManyRedirects as error:
        raise SourceUnavailable(f"source_url: {error}") from None
    except httpx2.HTTPError as error:
        raise SourceInterrupted(
            f"source_url: the recording could not be downloaded ({type(error).__name__})"
        ) from error


def _check_status(status: int) -> None:
    if 200 <= status < 300:
        return
    message = f"source_url: the address responded with HTTP status {status}"
    may_pass = status in _TRANSIENT_STATUSES or status >= 500
    raise SourceInterrupted(message) if may_pass else SourceUnavailable(message)


def _write_body(response: httpx2.Response, path: Path) -> _DownloadResult:
    """Write the body, and count and hash it: the size that a server declares proves nothing."""
    size, sha256, limit = 0, hashlib.sha256(), settings().max_file_size
    monitor = free_space.FreeSpaceMonitor()
    with private_files.open_file(path, "wb") as file:
        for block in response.iter_raw():
            size += len(block)
            if size > limit:
                raise TooLarge(f"the recording is larger than the allowed {limit} bytes")
            monitor.check(size)
            sha256.update(block)
            file.write(block)
    return _DownloadResult(size, sha256.hexdigest())
