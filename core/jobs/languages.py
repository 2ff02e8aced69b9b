"""Known languages, and detection of the language of a recording.

The language is detected once and then used for all chunks.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.models import Transcript, TranscriptJob
from core.jobs.records import PartRecord

#: ISO 639-1 codes by first letter, including withdrawn codes that some systems still use.
_SECOND_LETTERS = {
    "a": "abefkmnrsvyz", "b": "aeghimnors", "c": "aehorsuvy", "d": "aevz", "e": "elnostu",
    "f": "afijory", "g": "adlnuv", "h": "aeiortuyz", "i": "adegiknostuw", "j": "aivw",
    "k": "agijklmnorsuvwy", "l": "abginotuv", "m": "ghiklnorsty", "n": "abdeglnorvy",
    "o": "cjmrs", "p": "ailst", "q": "u", "r": "mnouw", "s": "acdeghiklmnoqrstuvw",
    "t": "aeghiklnorstwy", "u": "gkrz", "v": "eio", "w": "ao", "x": "h", "y": "io", "z": "ahu",
}  # fmt: skip
#: ISO 639-2 codes for no language, several languages, or private use.
_NO_LANGUAGE = re.compile(r"mis|mul|und|zxx|q[a-t][a-z]")

#: Number of chunks used for detection; a single one may be music, a name or a greeting.
SAMPLED_CHUNKS = 5


def is_language(tag: str) -> bool:
    """Return whether a tag such as ``en-US`` names a language.

    There are some eight thousand codes of three letters, so any three are accepted.
    """
    first = tag.lower().replace("_", "-").partition("-")[0]
    if len(first) == 2:
        return first[1] in _SECOND_LETTERS.get(first[0], "")
    return len(first) == 3 and not _NO_LANGUAGE.fullmatch(first)


def choose_chunks(chunks: Sequence[PartRecord], limit: int = SAMPLED_CHUNKS) -> list[PartRecord]:
    """Choose the chunks to detect the language in: the longest of each fifth of them."""
    count = min(limit, len(chunks))
    bounds = [number * len(chunks) // count for number in range(count + 1)] if count else []
    groups = [chunks[first:end] for first, end in itertools.pairwise(bounds)]
    return [max(group, key=lambda chunk: chunk.interval.duration) for group in groups]


def set_language(session: Session, job_id: str, language: str) -> str | None:
    """Set the language of a job unless another chunk did so; return the language that holds."""
    transcript_id = select(TranscriptJob.transcript_id).where(TranscriptJob.job_id == job_id)
    condition = Transcript.id == transcript_id.scalar_subquery()
    session.execute(
        update(Transcript)
        .where(condition, Transcript.language.is_(None))
        .values(language=language)
        .execution_options(synchronize_session=False)
    )
    return session.scalar(select(Transcript.language).where(condition))
