"""Receive a file of any size in constant memory: to a scratch file, counted and hashed."""

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

#: Maximum bytes of the other form fields, in addition to the file.
FORM_BYTES = 1024 * 1024

#: Maximum parts of a form, including its file; no real form has half as many.
MAX_FORM_PARTS = 50

#: Characters of a file name that are kept.
MAX_NAME_LENGTH = 255

#: Name of the recording's form field.
RECORDING_FIELD = "file"


@dataclass(frozen=True, slots=True)
class Upload:
    """A completely received recording. It is deleted when the request ends."""

    path: Path
    filename: str
    size: int
    sha256: str


class _Sink:
    """File object to which the parser writes an arriving file."""

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
            raise free_space.convert_error(
                error, "uploads cannot be received at the moment"
            ) from error

    def write(self, block: bytes) -> int:
        self.size += len(block)
        if self.size > settings().max_file_size:
            raise build_too_large_error()
        self._space_monitor.check(self.size)
        self.hash.update(block)
        try:
            return self._file.write(block)
        except OSError as error:
            raise free_space.convert_error(error, "the upload cannot be stored") from error

    def seek(self, *_: Any) -> int:
        """Flush; the parser rewinds a complete file, but this handle is never read."""
        self._file.flush()
        return 0

    def close(self) -> None:
        self._file.close()

    def discard(self) -> None:
        with suppress(OSError):  # unwritten data are not needed any more
            self._file.close()
        self._folder.remove()


class StreamingRequest(Request):
    """A request whose files go to our scratch files, not to memory or system temporary files."""

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
        if self.sinks:  # each uses a folder and two descriptors
            raise InvalidInput(
                "send one file per job",
                field=RECORDING_FIELD,
                code="too_many_files",
            )
        sink = _Sink(total_content_length or 0)
        self.sinks.append(sink)
        return sink

    def discard_uploads(self) -> None:
        """Remove the received files, even if incomplete."""
        for sink in self.sinks:
            sink.discard()


def receive_upload(request: StreamingRequest) -> Upload:
    """Return the recording of this request. Raises `InvalidInput` if there is no complete one."""
    file = request.files.get(RECORDING_FIELD)
    if file is None:
        raise explain_no_form(request.mimetype) or InvalidInput(
            "send the recording as the form field 'file' of a multipart/form-data request, "
            "or specify it by source_url or source_key",
            field=RECORDING_FIELD,
            code="file_missing",
        )
    sink = file.stream
    assert isinstance(sink, _Sink)
    sink.close()
    return Upload(sink.path, clean_filename(file.filename), sink.size, sink.hash.hexdigest())


def clean_filename(filename: str | None) -> str:
    """Return a file name to store and show: its last part, without control characters."""
    basename = re.split(r"[/\\]", filename or "")[-1]
    return clean_name(basename).strip()[:MAX_NAME_LENGTH] or "recording"


def build_too_large_error(field: str = RECORDING_FIELD) -> TooLarge:
    return TooLarge(
        f"the file is larger than the allowed {settings().max_file_size} bytes",
        field=field,
    )
