"""Fetch the recording of a job from the address that its caller named."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path

import httpx2
import structlog

from core import free_space, layout, outgoing, private_files, sources
from core.db import transaction
from core.errors import TooLarge, TranscribeError, Transient
from core.settings import settings
from core.storage import storage

log = structlog.get_logger(__name__)

#: Seconds that one try may take.
SECONDS = 1800.0

#: Statuses that may be others in a moment.
_PASSING = {HTTPStatus.REQUEST_TIMEOUT, HTTPStatus.TOO_EARLY, HTTPStatus.TOO_MANY_REQUESTS}


class SourceUnavailable(TranscribeError):
    """Nothing is to be had from the address."""

    code = "source_unavailable"


class SourceInterrupted(Transient):
    """The address did not give all of the recording this time."""

    code = "source_unavailable"


@dataclass(frozen=True, slots=True)
class _Fetched:
    size: int
    sha256: str


def fetch(job_id: str, owner: str, url: str, folder: Path) -> bool:
    """Store what the address gives as the job's recording. Safe to run twice.

    False when the job was taken from this owner meanwhile.
    """
    path = folder / "fetched"
    log.info("fetching", url=outgoing.shown(url))
    fetched = _download(url, path)
    storage().take_file(layout.source(job_id), path)
    path.unlink(missing_ok=True)
    with transaction() as session:
        return sources.fetched(session, job_id, owner, size=fetched.size, sha256=fetched.sha256)


def _download(url: str, path: Path) -> _Fetched:
    try:
        with outgoing.answered(
            "GET", url, field="source_url", seconds=SECONDS, redirects=outgoing.MOST_REDIRECTS
        ) as response:
            _refuse_status(response.status_code)
            return _write(response, path)
    except httpx2.TooManyRedirects as error:
        raise SourceUnavailable(f"source_url: {error}") from None
    except httpx2.HTTPError as error:
        raise SourceInterrupted(
            f"source_url: the recording could not be fetched ({type(error).__name__})"
        ) from error


def _refuse_status(status: int) -> None:
    if 200 <= status < 300:
        return
    said = f"source_url: the address answers with HTTP status {status}"
    may_pass = status in _PASSING or status >= 500
    raise SourceInterrupted(said) if may_pass else SourceUnavailable(said)


def _write(response: httpx2.Response, path: Path) -> _Fetched:
    """The body, counted and hashed as it comes in, since what a server declares proves nothing."""
    size, sha256, limit = 0, hashlib.sha256(), settings().max_file_size
    lookout = free_space.Lookout()
    with private_files.open_file(path, "wb") as file:
        for block in response.iter_raw():
            size += len(block)
            if size > limit:
                raise TooLarge(f"the recording is larger than the {limit} bytes that are allowed")
            lookout.look(size)
            sha256.update(block)
            file.write(block)
    return _Fetched(size, sha256.hexdigest())
