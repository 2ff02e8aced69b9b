"""Word documents (.docx), to be read, corrected and printed."""

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

#: Characters that Word allows in the title of a document's properties.
MAX_TITLE_CHARACTERS = 255

# XML has no way to write most of these, and the others mean nothing to a reader.
_UNPRINTABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def docx(
    segments: Iterable[Segment],
    title: str,
    created_at: datetime,
    names: Mapping[int, str] | None = None,
) -> bytes:
    """A Word file: the title, then paragraphs that each begin with speaker and start in bold.

    *created_at*: when the transcript was, in UTC; the file's properties tell it.
    """
    # Imported here: who writes no such document does not wait for the library.
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
    # Otherwise the properties are those of the library's template.
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
