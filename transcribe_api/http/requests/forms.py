"""Parse forms as real browsers and programs send them, and explain what is wrong with others.

File names may be in any encoding, and a part called ``file`` is a file with or without a name. An
unreadable form is refused with a specific reason.
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
#: Encodings of names; the last one accepts every byte.
_UTF8, _CHINESE, _WESTERN = "utf-8", "gb18030", "latin-1"
_NON_ASCII_RUN = re.compile(rb"[\x80-\xff]+")
#: First bytes of common characters.
_COMMON_LEAD_BYTES = range(0xB0, 0xD8)


class FormReader(FormDataParser):
    """Raises `InvalidInput` for a broken form, instead of returning an empty one."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **{**options, "silent": False})

    def parse(
        self, stream: Any, mimetype: str, content_length: int | None, options: Any = None
    ) -> Any:
        if mimetype == _MULTIPART and not (options or {}).get("boundary"):
            raise InvalidInput(
                "the header Content-Type has no boundary; omit the header, so that your HTTP "
                "library sets it together with the form",
                code="boundary_missing",
            )
        try:
            return super().parse(stream, mimetype, content_length, options)
        except ValueError as error:
            raise InvalidInput(
                f"the form is incomplete, or does not match its Content-Type: {error}",
                code="form_unreadable",
            ) from None


def explain_no_form(mimetype: str) -> InvalidInput | None:
    """Return why a request has no form; None if it has one."""
    if mimetype in (_MULTIPART, _URLENCODED, ""):
        return None
    return InvalidInput(
        f"send a form (Content-Type: {_MULTIPART}), not {mimetype}", code="form_expected"
    )


class _Decoder(MultipartDecoder):
    """Accepts headers of parts in any encoding, and files without a name."""

    def _parse_headers(self, data: bytes | bytearray) -> Headers:
        headers = super()._parse_headers(decode_name(bytes(data)).encode())
        disposition = headers.get(_DISPOSITION, "")
        parameters = [word.strip() for word in disposition.split(";")]
        if {'name="file"', "name=file"} & set(parameters) and "filename" not in disposition:
            headers[_DISPOSITION] = f'{disposition}; filename=""'
        return headers


# The parser takes no decoder as argument. A test checks that it looks it up in this module.
formparser.MultipartDecoder = _Decoder  # type: ignore[attr-defined]


def decode_name(raw: bytes) -> str:
    """Decode text of an unknown encoding: UTF-8, else Chinese if it looks so, else Western."""
    for encoding in (_UTF8, *([_CHINESE] if _looks_chinese(raw) else [])):
        with suppress(UnicodeDecodeError):
            return raw.decode(encoding)
    return raw.decode(_WESTERN)


def _looks_chinese(raw: bytes) -> bool:
    """Return whether all runs have two or more characters, at least half of them common ones.

    Common ones are the first level of GB 2312. Western letters with accents are mostly isolated,
    and as Chinese they would be rare characters.
    """
    runs: list[bytes] = _NON_ASCII_RUN.findall(raw)
    lead_bytes = [lead_byte for run in runs for lead_byte in run[::2]]
    common_count = sum(lead_byte in _COMMON_LEAD_BYTES for lead_byte in lead_bytes)
    return all(len(run) >= 4 and len(run) % 2 == 0 for run in runs) and 2 * common_count >= len(
        lead_bytes
    )
