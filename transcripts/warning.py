"""Warnings of a transcript: a code for programs and a sentence for people.

A warning has one JSON form in storage and in the API. In rows of version 0.1 a warning is only a
sentence.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class Severity(StrEnum):
    """What a warning means for the reader of the transcript."""

    #: Part of the requested result is missing.
    ERROR = "error"
    #: Part of the transcript may be wrong.
    WARNING = "warning"
    #: Nothing is wrong, but something differs from what the caller may expect.
    INFO = "info"


class WarningCode(StrEnum):
    """The kind of a warning; programs may rely on these names."""

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
    CHANNELS_ALIKE = "channels_alike"
    #: From an engine plugin, or stored by version 0.1.
    OTHER = "other"


_ERRORS = {WarningCode.CHUNK_FAILED, WarningCode.SPEAKERS_FAILED, WarningCode.FILES_NOT_WRITTEN}
_INFOS = {
    WarningCode.NOTHING_HEARD,
    WarningCode.NO_WORKER,
    WarningCode.OPTION_IGNORED,
    WarningCode.PROMPT_CUT,
    WarningCode.TERMS_CUT,
    WarningCode.ONE_CHANNEL,
    WarningCode.CHANNELS_ALIKE,
}
#: A retry of the job may correct these: it repeats the failed parts.
_RETRYABLE = {WarningCode.CHUNK_FAILED, WarningCode.SPEAKERS_FAILED}


@dataclass(frozen=True, slots=True)
class TranscriptWarning:
    """One warning about an interval of the recording or about all of it."""

    code: WarningCode
    #: For people; does not state the interval.
    sentence: str
    #: Seconds from the start of the recording; None if it concerns the whole recording.
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
        """Return whether the warning remains when the job has ended."""
        return self.code is not WarningCode.NO_WORKER


def to_json(warning: TranscriptWarning) -> dict[str, Any]:
    """Return the stored form, which is also that of the REST API; times rounded to milliseconds."""
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
