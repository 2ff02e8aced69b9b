"""Paging parameters of a query: length and position.

A cursor is a position in an opaque form.
"""

from __future__ import annotations

import base64
import re
import struct
import uuid
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from core.db.pages import PageCursor
from core.errors import InvalidInput

#: Rows per page: default and maximum.
DEFAULT_LIMIT, MAX_LIMIT = 50, 100

_NUMBER = re.compile(r"[0-9]{1,3}")
# Microseconds, and the bytes of a UUID: 24 bytes, which base64 makes 32 characters without padding.
_CURSOR = struct.Struct(">q16s")
#: Pattern of a cursor; an empty one counts as none.
CURSOR_PATTERN = r"^([A-Za-z0-9_-]{32})?$"
_EPOCH = datetime.fromtimestamp(0, UTC)
_MICROSECOND = timedelta(microseconds=1)


def parse_limit(query: Mapping[str, str]) -> int:
    """Return the requested number of rows. Raises `InvalidInput`."""
    text = query.get("limit", str(DEFAULT_LIMIT))
    if not _NUMBER.fullmatch(text) or not 1 <= int(text) <= MAX_LIMIT:
        raise InvalidInput(
            f"limit: {text!r} is not a whole number from 1 to {MAX_LIMIT}", field="limit"
        )
    return int(text)


def parse_cursor(query: Mapping[str, str]) -> PageCursor | None:
    """Return the start of the page; None for the first page. Raises `InvalidInput`."""
    text = query.get("cursor")
    if not text:
        return None
    try:
        microseconds, row_id = _CURSOR.unpack(base64.b64decode(text, altchars=b"-_", validate=True))
        return PageCursor(_EPOCH + microseconds * _MICROSECOND, uuid.UUID(bytes=row_id))
    except (ValueError, struct.error, OverflowError):
        raise InvalidInput(
            f"cursor: {text!r} is not a cursor; send next_cursor of the previous page",
            field="cursor",
        ) from None


def format_cursor(cursor: PageCursor | None) -> str | None:
    """Return `next_cursor` in the form that `parse_cursor` reads."""
    if cursor is None:
        return None
    microseconds = (cursor.created_at - _EPOCH) // _MICROSECOND
    packed = _CURSOR.pack(microseconds, cursor.id.bytes)
    return base64.urlsafe_b64encode(packed).decode()
