"""Languages: which there are, and that of a recording for which nobody named one.

It is found once, and is then the same for every chunk.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Sequence

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from core.db.models import Transcript, TranscriptJob
from core.jobs.records import PartRecord

#: ISO 639-1 by first letters, with the codes that it took back and some systems still say.
_SECOND_LETTERS = {
    "a": "abefkmnrsvyz", "b": "aeghimnors", "c": "aehorsuvy", "d": "aevz", "e": "elnostu",
    "f": "afijory", "g": "adlnuv", "h": "aeiortuyz", "i": "adegiknostuw", "j": "aivw",
    "k": "agijklmnorsuvwy", "l": "abginotuv", "m": "ghiklnorsty", "n": "abdeglnorvy",
    "o": "cjmrs", "p": "ailst", "q": "u", "r": "mnouw", "s": "acdeghiklmnoqrstuvw",
    "t": "aeghiklnorstwy", "u": "gkrz", "v": "eio", "w": "ao", "x": "h", "y": "io", "z": "ahu",
}  # fmt: skip
#: Of ISO 639-2, what says that there is no language, several, or one of somebody's own.
_NO_LANGUAGE = re.compile(r"mis|mul|und|zxx|q[a-t][a-z]")

#: Chunks of a recording that are listened to; one alone may be music, a name or a greeting.
SAMPLED_CHUNKS = 5


def is_language(tag: str) -> bool:
    """Whether a tag such as ``en-US`` names a language.

    Of three letters there are some eight thousand, so any three will do.
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
