"""Serve a stored file, as a whole or as a byte range, in constant memory."""

from __future__ import annotations

import hashlib

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed

from chunking.decode import file_header
from core.storage import storage
from transcribe_api.http.responses import streaming

#: Media type of files of an unknown kind.
DEFAULT_MEDIA_TYPE = "application/octet-stream"
#: Bytes needed to detect the type of a recording.
_HEADER_BYTES = 64


def serve_recording(key: str, version: str) -> Response:
    """Return a recording as it was uploaded, for playing or saving."""
    head = b"".join(storage().stream(key, 0, _HEADER_BYTES))
    return serve_file(key, file_header.find_media_type(head) or DEFAULT_MEDIA_TYPE, version)


def serve_file(key: str, media_type: str, version: str) -> Response:
    """Return a stored file; *version* must change when its bytes may have changed.

    Raises `NotFound`, `Unavailable`, `RequestedRangeNotSatisfiable` or `PreconditionFailed`.
    """
    size = storage().get_size(key)
    # Never displayed as a page: an upload may be HTML that claims to be audio.
    headers = {"Content-Disposition": "attachment"}
    response = Response(mimetype=media_type, headers=headers)
    response.set_etag(hashlib.sha256(f"{version} {size}".encode()).hexdigest()[:32])
    response.make_conditional(request, True, size if _is_single_range(size) else None)
    if response.status_code == PreconditionFailed.code:
        raise PreconditionFailed
    if response.status_code < 300:
        _set_body(response, key, size)
    return response


def _is_single_range(size: int) -> bool:
    """Return whether one valid byte range is requested; otherwise the whole file is sent."""
    requested_range = request.range
    if (
        requested_range is None
        or requested_range.units != "bytes"
        or len(requested_range.ranges) != 1
    ):
        return False
    [(first, _)] = requested_range.ranges
    return first is not None and first >= -size  # negative: this many bytes from the end


def _set_body(response: Response, key: str, size: int) -> None:
    content_range = response.content_range
    start, stop = (
        (content_range.start or 0, content_range.stop or 0) if content_range else (0, size)
    )
    response.content_length = stop - start
    if request.method != "HEAD":
        response.response = streaming.prefetch_first(storage().stream(key, start, stop))
