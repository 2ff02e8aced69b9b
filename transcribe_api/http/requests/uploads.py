"""Receives a file of any size in constant memory: to a scratch file, counted and hashed."""

from __future__ import annotations

import hashlib
import re
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from flask import Request

from core import scratch
from core.errors import InvalidInput, TooLarge
from core.filesystem import free_space, private_files
from core.settings import settings
from transcribe_api.folder_names import clean_name
from transcribe_api.http.requests.forms import FormReader, explain_no_form

#: Bytes that the other fields of a form may take, on top of the file.
FORM_BYTES = 1024 * 1024

#: Parts of a form, its file among them; no form of ours has half as many.
MAX_FORM_PARTS = 50

#: Characters of a file name that are kept.
MAX_NAME_LENGTH = 255

#: The form field of the recording.
RECORDING_FIELD = "file"


@dataclass(frozen=True, slots=True)
class Upload:
    """A recording that was received whole. It is gone when the request is over."""

    path: Path
    filename: str
    size: int
    sha256: str


class _Sink:
    """Where the parser writes a file to as it comes in."""

    def __init__(self, expected: int) -> None:
        free_space.require_space(expected)
        self.size = 0
        self._space_monitor = free_space.FreeSpaceMonitor()
        self.hash = hashlib.sha256()
        try:
            self._folder = scratch.ScratchFolder(settings().scratch_dir, "upload-")
            self.path = self._folder.path / "file"
            self._file: IO[bytes] = private_files.open_file(self.path, "wb")
        except OSError as error:
            raise free_space.convert_error(error, "uploads cannot be received now") from error

    def write(self, block: bytes) -> int:
        self.size += len(block)
        if self.size > settings().max_file_size:
            raise build_too_large_error()
        self._space_monitor.check(self.size)
        self.hash.update(block)
        try:
            return self._file.write(block)
        except OSError as error:
            raise free_space.convert_error(error, "the upload cannot be kept") from error

    def seek(self, *_: Any) -> int:
        """The parser rewinds a file when it is whole; we never read it back by this handle."""
        self._file.flush()
        return 0

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        with suppress(OSError):  # what could not be written is not wanted any more
            self._file.close()
        self._folder.remove()


class StreamingRequest(Request):
    """A request whose files go to scratch files of ours, not through memory or the system's."""

    form_data_parser_class = FormReader
    max_form_memory_size = FORM_BYTES
    max_form_parts = MAX_FORM_PARTS

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.sinks: list[_Sink] = []

    def _get_file_stream(
        self,
        total_content_length: int | None,
        content_type: str | None,  # noqa: ARG002
        filename: str | None = None,  # noqa: ARG002
        content_length: int | None = None,  # noqa: ARG002
    ) -> Any:
        if self.sinks:  # each takes a folder and two descriptors
            raise InvalidInput(
                "send one file; others are jobs of their own",
                field=RECORDING_FIELD,
                code="too_many_files",
            )
        sink = _Sink(total_content_length or 0)
        self.sinks.append(sink)
        return sink

    def discard_uploads(self) -> None:
        """Remove what was received, also when it came only in part."""
        for sink in self.sinks:
            sink.discard()


def receive_upload(request: StreamingRequest) -> Upload:
    """The recording of this request. Raises `InvalidInput` when there is none, or no whole one."""
    file = request.files.get(RECORDING_FIELD)
    if file is None:
        raise explain_no_form(request.mimetype) or InvalidInput(
            "send the recording as the form field 'file' of a multipart/form-data request, "
            "or say with source_url or source_key where it is",
            field=RECORDING_FIELD,
            code="file_missing",
        )
    sink = file.stream
    assert isinstance(sink, _Sink)
    sink.close()
    return Upload(sink.path, clean_filename(file.filename), sink.size, sink.hash.hexdigest())


def clean_filename(filename: str | None) -> str:
    """A file name as it may be stored and shown: its last part, without control characters."""
    basename = re.split(r"[/\\]", filename or "")[-1]
    return clean_name(basename).strip()[:MAX_NAME_LENGTH] or "recording"


def build_too_large_error(field: str = RECORDING_FIELD) -> TooLarge:
    return TooLarge(
        f"the file is larger than the {settings().max_file_size} bytes that are allowed",
        field=field,
    )
