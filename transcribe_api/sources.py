"""Where a recording comes from: the form itself, an address, or a folder of the storage."""

from __future__ import annotations

import re
import unicodedata
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import unquote

import httpx2

from chunking import decode
from core import free_space, layout, outgoing
from core.errors import InvalidInput, NotFound
from core.settings import settings
from core.storage import storage
from transcribe_api import access, uploads
from transcribe_api.uploads import StreamingRequest, Upload, shown_name, too_large

#: Form fields of which one must be there.
FIELDS = ("file", "source_url", "source_key")

#: Characters of an address: those that storages sign are long.
LONGEST_URL = 8000
#: Bytes of a key, as S3 has it.
LONGEST_KEY = 1024
#: Seconds until an address must have begun to answer.
_SECONDS = 15.0

_PATH = re.compile(r"[^/?#]*//[^/?#]*([^?#]*)")


class Source(Protocol):
    """A recording that is to become a job."""

    @property
    def filename(self) -> str:
        """What it is called where callers see it."""
        ...

    @property
    def sha256(self) -> str | None:
        """Its checksum, if that is known."""
        ...

    def size(self) -> int | None:
        """Its bytes, if that is known."""
        ...

    def check(self) -> None:
        """Raise `InvalidInput` for what can be seen to be wrong before the job begins, and
        `StorageFull` for what there is no room for.
        """
        ...

    def keep(self, job_id: str) -> None:
        """Store it as the recording of a job, unless a worker is to do that."""
        ...


def received(request: StreamingRequest) -> Source:
    """The recording of this request. Raises `InvalidInput` when there is none, or more than one."""
    file = request.files.get(uploads.FIELD)
    url, key = (request.form.get(field, "").strip() for field in FIELDS[1:])
    # A page whose file field was left empty sends it all the same.
    given = [bool(file and (file.filename or not (url or key))), bool(url), bool(key)]
    if sum(given) > 1:
        named = " and ".join(
            field for field, is_there in zip(FIELDS, given, strict=True) if is_there
        )
        raise InvalidInput(
            f"{named}: send one of them and not both", field=FIELDS[given.index(True)]
        )
    if url:
        return _AtAddress(url)
    if key:
        return _InStorage(key)
    return _InForm(uploads.received(request))


def look_into(path: Path) -> None:
    """Raise `MediaError` for a file that can be seen to be no recording we transcribe."""
    decode.probe(path, decode.Limits(max_seconds=settings().max_recording_seconds))


def require_room(size: int) -> None:
    """Raise `StorageFull` unless a recording of *size* bytes can be stored here, and worked on."""
    # Another machine's storage takes no room of ours.
    free_space.require(0 if settings().minio_endpoint else size)


@dataclass(frozen=True, slots=True)
class _InForm:
    """It came with the request."""

    upload: Upload

    @property
    def filename(self) -> str:
        return self.upload.filename

    @property
    def sha256(self) -> str | None:
        return self.upload.sha256

    def size(self) -> int | None:
        return self.upload.size

    def check(self) -> None:
        look_into(self.upload.path)

    def keep(self, job_id: str) -> None:
        storage().take_file(layout.source(job_id), self.upload.path)


@dataclass(frozen=True, slots=True)
class _AtAddress:
    """A worker fetches it: see `tasks.fetch`."""

    url: str
    sha256: None = None

    @property
    def filename(self) -> str:
        path = _PATH.match(self.url)
        return shown_name(unquote(path[1]) if path else None)

    def size(self) -> int | None:
        return None

    def check(self) -> None:
        """Open the address as the worker will, and read no more than the beginning of an answer."""
        outgoing.check(self.url, "source_url", longest=LONGEST_URL)
        try:
            with outgoing.answered(
                "GET",
                self.url,
                field="source_url",
                seconds=_SECONDS,
                redirects=outgoing.MOST_REDIRECTS,
            ) as response:
                _refuse_answer(response)
        except httpx2.TooManyRedirects as error:
            raise _unavailable(str(error)) from None
        except httpx2.HTTPError as error:
            raise _unavailable(f"the address does not answer ({type(error).__name__})") from None

    def keep(self, job_id: str) -> None:
        pass


@dataclass(frozen=True, slots=True)
class _InStorage:
    """An operator put it there; the storage makes a copy of its own, and the original stays."""

    key: str
    sha256: None = None

    @property
    def filename(self) -> str:
        return shown_name(self.key)

    def size(self) -> int | None:
        try:
            return storage().size(self.key)
        except NotFound:
            raise InvalidInput(
                f"source_key: there is no object {self.key!r}", field="source_key"
            ) from None

    def check(self) -> None:
        _refuse_key(self.key)
        size = self.size() or 0
        if size > settings().max_file_size:
            raise too_large("source_key")
        require_room(size)

    def keep(self, job_id: str) -> None:
        storage().copy(self.key, layout.source(job_id))


def _refuse_answer(response: httpx2.Response) -> None:
    if not response.is_success:
        raise _unavailable(f"the address answers with HTTP status {response.status_code}")
    declared = response.headers.get("Content-Length", "0")
    if declared.isdecimal() and int(declared) > settings().max_file_size:
        raise too_large("source_url")


def _unavailable(why: str) -> InvalidInput:
    return InvalidInput(f"source_url: {why}", field="source_url", code="source_unavailable")


def _refuse_key(key: str) -> None:
    folder = _folder()
    parts = key.split("/")
    is_strange = not {"", ".", ".."}.isdisjoint(parts) or any(
        unicodedata.category(char) in ("Cc", "Cs") for char in key
    )
    if is_strange or not key.startswith(folder) or len(key.encode()) > LONGEST_KEY:
        raise InvalidInput(
            f"source_key: allowed is the key of an object under {folder}", field="source_key"
        )


def _folder() -> str:
    """Where the caller's recordings lie; who is asked for a key has a folder of its own."""
    owner = access.caller().owner
    return settings().source_prefix + (f"{owner}/" if owner else "")
