"""Reads forms as browsers and programs really send them, and says what is wrong with the others.

Names of files may be in any encoding, and a part that is called ``file`` is a file with or without
a name. What cannot be read as a form is refused with its own reason.
"""

from __future__ import annotations

import re
from contextlib import suppress
from typing import Any

from werkzeug import formparser
from werkzeug.datastructures import Headers
from werkzeug.formparser import FormDataParser
from werkzeug.sansio.multipart import MultipartDecoder

from core.errors import InvalidInput

_MULTIPART, _URLENCODED = "multipart/form-data", "application/x-www-form-urlencoded"
_DISPOSITION = "content-disposition"
#: Encodings of names; the last knows every byte.
_UTF8, _CHINESE, _WESTERN = "utf-8", "gb18030", "latin-1"
_NON_ASCII_RUN = re.compile(rb"[\x80-\xff]+")
#: First bytes of common characters.
_COMMON_LEAD_BYTES = range(0xB0, 0xD8)


class FormReader(FormDataParser):
    """Raises `InvalidInput` where a form is broken, instead of finding nothing in it."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "silent": False})

    def parse(
        self, stream: Any, mimetype: str, content_length: int | None, options: Any = None
    ) -> Any:
        if mimetype == _MULTIPART and not (options or {}).get("boundary"):
            raise InvalidInput(
                "the header Content-Type names no boundary; leave the header out, so that your "
                "HTTP library writes it together with the form",
                code="boundary_missing",
            )
        try:
            return super().parse(stream, mimetype, content_length, options)
        except ValueError as error:
            raise InvalidInput(
                f"the form breaks off, or is not as its Content-Type says: {error}",
                code="form_unreadable",
            ) from None


def explain_no_form(mimetype: str) -> InvalidInput | None:
    """Why a request holds no form at all; None if it holds one."""
    if mimetype in (_MULTIPART, _URLENCODED, ""):
        return None
    return InvalidInput(
        f"send a form (Content-Type: {_MULTIPART}), not {mimetype}", code="form_expected"
    )


class _Decoder(MultipartDecoder):
    """Takes headers of parts in any encoding, and files without a name."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        headers = super()._parse_headers(decode_name(bytes(data)).encode())
        disposition = headers.get(_DISPOSITION, "")
        parameters = [word.strip() for word in disposition.split(";")]
        if {'name="file"', "name=file"} & set(parameters) and "filename" not in disposition:
            headers[_DISPOSITION] = f'{disposition}; filename=""'
        return headers


# The parser takes no decoder as an argument. That it looks there for one is held by a test.
formparser.MultipartDecoder = _Decoder  # type: ignore[attr-defined]


def decode_name(raw: bytes) -> str:
    """Text of an unknown encoding: UTF-8, else Chinese where it looks so, else Western."""
    for encoding in (_UTF8, *([_CHINESE] if _looks_chinese(raw) else [])):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode(_WESTERN)


def _looks_chinese(raw: bytes) -> bool:
    """Two characters and more together, half of them common ones (the first level of GB 2312).

    Western letters with accents mostly stand alone, and as Chinese they would be rare characters.
    """
    runs: list[bytes] = _NON_ASCII_RUN.findall(raw)
    lead_bytes = [lead_byte for run in runs for lead_byte in run[::2]]
    common_count = sum(lead_byte in _COMMON_LEAD_BYTES for lead_byte in lead_bytes)
    return all(len(run) >= 4 and len(run) % 2 == 0 for run in runs) and 2 * common_count >= len(
        lead_bytes
    )
