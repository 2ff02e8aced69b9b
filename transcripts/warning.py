"""What is not as it should be with a transcript: for programs by a code, for people as a sentence.

A warning is written down, told and read as JSON in one form everywhere. In rows of version 0.1 a
warning is a sentence alone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a warning means for whoever reads the transcript."""

    #: Part of what was asked for is missing.
    ERROR = "error"
    #: Part of the transcript may be wrong.
    WARNING = "warning"
    #: Nothing is wrong, but something is not as the caller may think.
    INFO = "info"


class WarningCode(StrEnum):
    """What is not as it should be; programs may rely on these names."""

    CHUNK_FAILED = "chunk_failed"
    SPEAKERS_FAILED = "speakers_failed"
    FILES_NOT_WRITTEN = "files_not_written"
    RECORDING_BREAKS_OFF = "recording_breaks_off"
    RECORDING_DAMAGED = "recording_damaged"
    SOUND_MISSING = "sound_missing"
    OTHER_TRACKS = "other_tracks"
    SPEECH_WITHOUT_WORDS = "speech_without_words"
    NOTHING_HEARD = "nothing_heard"
    WORDS_LEFT_OUT = "words_left_out"
    WORDS_DOUBTFUL = "words_doubtful"
    WORD_TIMES_ROUGH = "word_times_rough"
    EDIT_REMOVED = "edit_removed"
    NAME_REMOVED = "name_removed"
    NO_WORKER = "no_worker"
    OPTION_IGNORED = "option_ignored"
    PROMPT_CUT = "prompt_cut"
    TERMS_CUT = "terms_cut"
    ONE_CHANNEL = "one_channel"
    #: Said by an engine of another package, or written down by version 0.1.
    OTHER = "other"


_ERRORS = {WarningCode.CHUNK_FAILED, WarningCode.SPEAKERS_FAILED, WarningCode.FILES_NOT_WRITTEN}
_INFOS = {
    WarningCode.NOTHING_HEARD,
    WarningCode.NO_WORKER,
    WarningCode.OPTION_IGNORED,
    WarningCode.PROMPT_CUT,
    WarningCode.TERMS_CUT,
    WarningCode.ONE_CHANNEL,
}
#: What trying the job again may mend: those of its parts that failed are done again.
_RETRYABLE = {WarningCode.CHUNK_FAILED, WarningCode.SPEAKERS_FAILED}


@dataclass(frozen=True, slots=True)
class TranscriptWarning:
    """One thing that is not as it should be, somewhere in the recording or in all of it."""

    code: WarningCode
    #: For people; says nothing of the place.
    sentence: str
    #: Seconds from the start of the recording; None when it is about the whole.
    start: float | None = None
    end: float | None = None

    @property
    def severity(self) -> Severity:
        if self.code in _ERRORS:
            return Severity.ERROR
        return Severity.INFO if self.code in _INFOS else Severity.WARNING

    @property
    def is_retryable(self) -> bool:
        return self.code in _RETRYABLE

    @property
    def is_lasting(self) -> bool:
        """Whether it is still so when the job is over."""
        return self.code is not WarningCode.NO_WORKER


def to_json(warning: TranscriptWarning) -> dict[str, Any]:
    """The form in which it is stored, and told by REST; times rounded to milliseconds."""
    return {
        "code": str(warning.code),
        "severity": str(warning.severity),
        "start": None if warning.start is None else round(warning.start, 3),
        "end": None if warning.end is None else round(warning.end, 3),
        "sentence": warning.sentence,
        "retryable": warning.is_retryable,
    }


def from_json(payload: Mapping[str, Any] | str) -> TranscriptWarning:
    """Read what `to_json` wrote, or the sentence that version 0.1 wrote."""
    if isinstance(payload, str):
        return TranscriptWarning(WarningCode.OTHER, payload)
    return TranscriptWarning(
        code=WarningCode(payload["code"]),
        sentence=payload["sentence"],
        start=payload["start"],
        end=payload["end"],
    )
