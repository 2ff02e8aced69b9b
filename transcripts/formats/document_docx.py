"""Word documents (.docx), to be read, corrected and printed."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Mapping
from datetime import datetime
from typing import TYPE_CHECKING

from transcripts.formats.clock import milliseconds, stamp
from transcripts.formats.paragraphs import Paragraph, paragraphs
from transcripts.speakers import label
from transcripts.types import Segment

if TYPE_CHECKING:
    from docx.document import Document

#: Characters that Word allows in the title of a document's properties.
LONGEST_TITLE = 255

# XML has no way to write most of these, and the others mean nothing to a reader.
_UNWRITABLE = re.compile(r"[\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff]")


def docx(
    segments: Iterable[Segment],
    title: str,
    made: datetime,
    names: Mapping[int, str] | None = None,
) -> bytes:
    """A Word file: the title, then paragraphs that each begin with speaker and start in bold.

    *made*: when the transcript was, in UTC; the file's properties tell it.
    """
    # Imported here: who writes no such document does not wait for the library.
    from docx import Document

    document = Document()
    _describe(document, _clean(title), made)
    for paragraph in paragraphs(segments):
        _add(document, paragraph, names)
    buffer = io.BytesIO()
    document.save(buffer)
    return buffer.getvalue()


def _describe(document: Document, title: str, made: datetime) -> None:
    document.add_heading(title, level=0)
    # Otherwise the properties are those of the library's template.
    properties = document.core_properties
    properties.title = title[:LONGEST_TITLE]
    properties.author = properties.comments = ""
    properties.created = properties.modified = made


def _add(document: Document, paragraph: Paragraph, names: Mapping[int, str] | None) -> None:
    time = stamp(milliseconds(paragraph.start), ".").partition(".")[0]
    speaker = paragraph.speaker
    lead = time if speaker is None else f"{_clean(label(speaker, names))} {time}"
    written = document.add_paragraph()
    written.add_run(lead).bold = True
    written.add_run("\n" + _clean(paragraph.text))


def _clean(text: str) -> str:
    return _UNWRITABLE.sub("", " ".join(text.split()))
