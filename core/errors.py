"""All errors that callers may see, each with a stable code and an actionable message."""

from __future__ import annotations

from typing import Any


class TranscribeError(Exception):
    """Base of all errors. The message is safe to show to a caller."""

    #: Stable name for programs.
    code = "error"


class InvalidInput(TranscribeError):
    """The request, or its recording, cannot be processed; a retry will not help."""

    code = "invalid_input"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        #: Name of the invalid request field, if there is one.
        self.field = field
        if code is not None:
            self.code = code


class MediaError(InvalidInput):
    """The recording cannot be read. Codes: see `chunking.decode.decoder`."""

    code = "media_unreadable"


class TooLarge(InvalidInput):
    """More bytes than ``MAX_FILE_SIZE``."""

    code = "file_too_large"


class NotFound(TranscribeError):
    """Nothing has this id or name."""

    code = "not_found"


class JobNotFound(NotFound):
    """The job does not exist, or was deleted."""


class Conflict(TranscribeError):
    """The current state of the job does not allow this."""

    code = "conflict"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        #: The current state, for the caller.
        self.details = details


class EditConflict(Conflict):
    """The current values differ from those that the caller saw."""

    code = "changed_meanwhile"


class Unauthorized(TranscribeError):
    """A valid key is required."""

    code = "unauthorized"


class InvalidApiKey(Unauthorized):
    """The key is unknown, revoked or expired."""


class Forbidden(TranscribeError):
    """The key does not allow this."""

    code = "forbidden"


class CrossOrigin(Forbidden):
    """A page of another site made a browser send this request."""

    code = "cross_origin"


class WrongHost(TranscribeError):
    """The request is for a host name that is not the service's."""

    code = "wrong_host"


class RequestTimeout(TranscribeError):
    """The body did not arrive in time."""

    code = "request_timeout"


class RateLimited(TranscribeError):
    """Too many requests in a minute."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_in: float) -> None:
        super().__init__(message)
        #: Seconds after which a request is allowed again.
        self.retry_in = retry_in


class SettingsError(TranscribeError):
    """A setting is invalid; the message names the variable and the allowed values."""

    code = "bad_setting"


class DataDirectoryError(TranscribeError):
    """The data directory cannot be used; the message states the reason. Only for operators."""

    code = "data_directory"


class DatabaseDamaged(TranscribeError):
    """The database file is damaged; the message names it. Only for operators."""

    code = "database_damaged"


class EngineError(TranscribeError):
    """A speech engine or a diarizer failed."""

    code = "engine_failed"


class KillsWorker(TranscribeError):
    """All workers that began this work died before it was finished."""

    code = "worker_lost"


class Transient(TranscribeError):
    """A temporary failure of storage, broker, database or a remote engine."""

    code = "try_again"

    def __init__(self, message: str, *, retry_in: float = 2.0) -> None:
        super().__init__(message)
        #: Minimum seconds before the next attempt.
        self.retry_in = retry_in


class Unavailable(Transient):
    """A required part of the service is down."""

    code = "unavailable"


class StorageFull(Unavailable):
    """The disk has no space beyond its reserve; only an operator or retention can free some."""

    code = "storage_full"
