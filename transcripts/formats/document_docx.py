"""Word documents (.docx) for reading, correcting and printing."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from transcripts.formats.paragraphs import Paragraph, build_paragraphs
from transcripts.formats.timestamps import format_timestamp, to_milliseconds
from transcripts.speakers.assignment import label
from transcripts.types import Segment

if TYPE_CHECKING:
    from docx.document import Document

#: Most characters that Word allows in the title of the document properties.
MAX_TITLE_CHARACTERS = 255

# XML cannot represent most of these characters; the others have no meaning for a reader.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def docx(
    segments: Iterable[Segment],
    title: str,
    created_at: datetime,
    names: Mapping[int, str] | None = None,
) -> bytes:
    """Return a Word file: the title, then paragraphs that begin with speaker and start in bold.

    *created_at*: when the transcript was created, in UTC, for the document properties.
    """
    # Imported here, so that callers of other formats do not wait for the library.
    from docx import Document

    document = Document()
    _set_properties(document, _clean(title), created_at)
    for paragraph in build_paragraphs(segments):
        _add_paragraph(document, paragraph, names)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _set_properties(document: Document, title: str, created_at: datetime) -> None:
    document.add_heading(title, level=0)
    # Otherwise the document has the properties of the library's template.
    properties = document.core_properties
    properties.title = title[:MAX_TITLE_CHARACTERS]
    properties.author = properties.comments = ""
    properties.created = properties.modified = created_at


def _add_paragraph(
    document: Document, paragraph: Paragraph, names: Mapping[int, str] | None
) -> None:
    time = format_timestamp(to_milliseconds(paragraph.start), ".").partition(".")[0]
    speaker = paragraph.speaker
    lead = time if speaker is None else f"{_clean(label(speaker, names))} {time}"
    docx_paragraph = document.add_paragraph()
    docx_paragraph.add_run(lead).bold = True
    docx_paragraph.add_run("\n" + _clean(paragraph.text))


def _clean(text: str) -> str:
    return _UNPRINTABLE.sub("", " ".join(text.split()))
