"""Sources of a recording: the form itself, a URL, or a folder of the storage."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import httpx2

from chunking.decode import decoder
from core import safe_http
from core.errors import InvalidInput, MediaError, NotFound
from core.filesystem import free_space
from core.settings import settings
from core.states import ALL_TRACKS
from core.storage import layout, storage
from transcribe_api.http.auth import guard
from transcribe_api.http.requests import uploads
from transcribe_api.http.requests.uploads import (
    StreamingRequest,
    Upload,
    build_too_large_error,
    clean_filename,
)

#: Bytes of a response that show what it is.
_SNIFFED_BYTES = 512
#: How content begins that is no recording, in lower case.
_OTHER_CONTENT = {
    "a web page": (b"<!doctype html", b"<html", b"<head", b"<?xml"),
    "a JSON document": (b"{", b"["),
    "a gzip file": (b"\x1f\x8b",),
    "a ZIP file": (b"pk\x03\x04",),
    "a PDF document": (b"%pdf-",),
}
#: Form fields; exactly one is required.
FIELDS = ("file", "source_url", "source_key")

#: Characters of a URL: signed storage URLs are long.
MAX_URL_LENGTH = 8000
#: Bytes of a key, as in S3.
MAX_KEY_BYTES = 1024
#: Seconds until a URL must begin to respond.
_TIMEOUT_SECONDS = 15.0

_URL_PATH_PATTERN = re.compile(r"[^/?#]*//[^/?#]*([^?#]*)")


class Source(Protocol):
    """The recording of a new job."""

    @property
    def filename(self) -> str:
        """Return the name that callers see."""
        ...

    @property
    def sha256(self) -> str | None:
        """Return the checksum, if known."""
        ...

    def size(self) -> int | None:
        """Return the size in bytes, if known."""
        ...

    def check(self, track: str | None) -> None:
        """Check the recording before the job begins.

        Raises `InvalidInput` for detectable faults, and `StorageFull` if there is no space for it.
        """
        ...

    def store(self, job_id: str) -> None:
        """Store it as the recording of a job, unless a worker will do that."""
        ...


def receive_source(request: StreamingRequest) -> Source:
    """Return the recording of this request. Raises `InvalidInput` unless there is exactly one."""
    file = request.files.get(uploads.RECORDING_FIELD)
    url, key = (request.form.get(field, "").strip() for field in FIELDS[1:])
    # Browsers send a file field even if it is empty.
    present = [bool(file and (file.filename or not (url or key))), bool(url), bool(key)]
    if sum(present) > 1:
        field_names = " and ".join(
            field for field, is_present in zip(FIELDS, present, strict=True) if is_present
        )
        raise InvalidInput(
            f"{field_names}: send only one of them", field=FIELDS[present.index(True)]
        )
    if url:
        return _UrlSource(url)
    if key:
        return _StoredSource(key)
    return _UploadedSource(uploads.receive_upload(request))


def probe_recording(path: Path, track: str | None = None) -> None:
    """Raise `MediaError` if a file is evidently not a recording that can be transcribed.

    *track*: the requested one. Raises `InvalidInput` if the recording has no such audio track.
    """
    limits = decoder.Limits(max_seconds=settings().max_recording_seconds)
    try:
        decoder.probe(path, limits, track=None if track == ALL_TRACKS else track)
    except MediaError as error:
        if error.code != "no_such_track":
            raise
        numbers = ", ".join(map(str, sorted(decoder.probe(path, limits).tracks)))
        raise InvalidInput(
            f"track: the recording has no audio track {track!r}; its tracks: {numbers}",
            field="track",
            code=error.code,
        ) from None


def require_space(size: int) -> None:
    """Raise `StorageFull` unless there is space to store and process *size* bytes."""
    # Storage on another machine takes no local space.
    free_space.require_space(0 if settings().minio_endpoint else size)


@dataclass(frozen=True, slots=True)
class _UploadedSource:
    """A recording in the request."""

    upload: Upload

    @property
    def filename(self) -> str:
        return self.upload.filename

    @property
    def sha256(self) -> str | None:
        return self.upload.sha256

    def size(self) -> int | None:
        return self.upload.size

    def check(self, track: str | None) -> None:
        probe_recording(self.upload.path, track)

    def store(self, job_id: str) -> None:
        storage().move_file(layout.source(job_id), self.upload.path)


@dataclass(frozen=True, slots=True)
class _UrlSource:
    """A recording that a worker downloads: see `tasks.steps.fetch`."""

    url: str
    sha256: None = None

    @property
    def filename(self) -> str:
        match = _URL_PATH_PATTERN.match(self.url)
        return clean_filename(unquote(match[1]) if match else None)

    def size(self) -> int | None:
        return None

    def check(self, track: str | None) -> None:  # noqa: ARG002
        """Request the URL as the worker will, and read only the beginning of the response."""
        safe_http.check_url(self.url, "source_url", max_length=MAX_URL_LENGTH)
        try:
            with safe_http.send_request(
                "GET",
                self.url,
                field="source_url",
                seconds=_TIMEOUT_SECONDS,
                redirects=safe_http.MAX_REDIRECTS,
            ) as response:
                _check_response(response)
                _check_beginning(next(response.iter_raw(), b""), response.headers)
        except httpx2.TooManyRedirects as error:
            raise _build_unavailable_error(str(error)) from None
        except httpx2.HTTPError as error:
            raise _build_unavailable_error(
                f"the address does not answer ({type(error).__name__})"
            ) from None

    def store(self, job_id: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _StoredSource:
    """An object placed by an operator; the storage copies it, and the original remains."""

    key: str
    sha256: None = None

    @property
    def filename(self) -> str:
        return clean_filename(self.key)

    def size(self) -> int | None:
        try:
            return storage().get_size(self.key)
        except NotFound:
            raise InvalidInput(
                f"source_key: there is no object {self.key!r}", field="source_key"
            ) from None

    def check(self, track: str | None) -> None:  # noqa: ARG002
        _check_key(self.key)
        size = self.size() or 0
        if size > settings().max_file_size:
            raise build_too_large_error("source_key")
        require_space(size)

    def store(self, job_id: str) -> None:
        storage().copy(self.key, layout.source(job_id))


def _check_response(response: httpx2.Response) -> None:
    if not response.is_success:
        raise _build_unavailable_error(
            f"the address responds with HTTP status {response.status_code}"
        )
    declared_size = response.headers.get("Content-Length", "0")
    if declared_size.isdecimal() and int(declared_size) > settings().max_file_size:
        raise build_too_large_error("source_url")


def _check_beginning(content: bytes, headers: Mapping[str, str]) -> None:
    """Refuse a page or an archive, which many addresses answer with in place of the recording."""
    head = content[:_SNIFFED_BYTES].lstrip().lower()
    for kind, beginnings in _OTHER_CONTENT.items():
        if head.startswith(beginnings):
            declared = headers.get("Content-Type", "no type").partition(";")[0].strip()
            raise _build_unavailable_error(
                f"the address responds with {kind} ({declared}) instead of a recording"
            )


def _build_unavailable_error(reason: str) -> InvalidInput:
    return InvalidInput(f"source_url: {reason}", field="source_url", code="source_unavailable")


def _check_key(key: str) -> None:
    folder = _source_folder()
    parts = key.split("/")
    is_malformed = not {"", ".", ".."}.isdisjoint(parts) or any(
        unicodedata.category(char) in ("Cc", "Cs") for char in key
    )
    if is_malformed or not key.startswith(folder) or len(key.encode()) > MAX_KEY_BYTES:
        raise InvalidInput(
            f"source_key: must be the key of an object in {folder}", field="source_key"
        )


def _source_folder() -> str:
    """Return the folder of the caller's recordings; each key owner has a separate one."""
    owner = guard.caller().owner
    return settings().source_prefix + (f"{owner}/" if owner else "")
