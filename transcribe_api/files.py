"""A stored file as an answer: whole, or the part that a player jumps to, in constant memory."""

from __future__ import annotations

import hashlib

from flask import Response, request
from werkzeug.exceptions import PreconditionFailed

from chunking import sniff
from core.storage import storage
from transcribe_api import streams

#: What a file is called whose kind is not known.
ANY_BYTES = "application/octet-stream"
#: Bytes that tell the kind of a recording.
_HEAD = 64


def recording(key: str, version: str) -> Response:
    """A recording as it was uploaded, to be played or saved."""
    head = b"".join(storage().stream(key, 0, _HEAD))
    return file(key, sniff.media_type(head) or ANY_BYTES, version)


def file(key: str, media_type: str, version: str) -> Response:
    """A stored file; *version* is another text when its bytes may be others.

    Raises `NotFound`, `Unavailable`, `RequestedRangeNotSatisfiable` or `PreconditionFailed`.
    """
    size = storage().size(key)
    # Never shown as a page: an upload may be one that pretends to be sound.
    headers = {"Content-Disposition": "attachment"}
    response = Response(mimetype=media_type, headers=headers)
    response.set_etag(hashlib.sha256(f"{version} {size}".encode()).hexdigest()[:32])
    response.make_conditional(request, True, size if _asks_for_one_range(size) else None)
    if response.status_code == PreconditionFailed.code:
        raise PreconditionFailed
    if response.status_code < 300:
        _fill(response, key, size)
    return response


def _asks_for_one_range(size: int) -> bool:
    """Whatever else is asked for may be ignored: the whole file is sent."""
    asked = request.range
    if asked is None or asked.units != "bytes" or len(asked.ranges) != 1:
        return False
    [(first, _)] = asked.ranges
    return first is not None and first >= -size  # negative: so many bytes from the end


def _fill(response: Response, key: str, size: int) -> None:
    part = response.content_range
    start, stop = (part.start or 0, part.stop or 0) if part else (0, size)
    response.content_length = stop - start
    if request.method != "HEAD":
        response.response = streams.begun(storage().stream(key, start, stop))
