"""Every error that a caller may be shown, each with a stable code and a sentence to act on."""

from __future__ import annotations

from typing import Any


class TranscribeError(Exception):
    """Root of the tree. The message is safe to show to a caller."""

    #: Stable name for machines.
    code = "error"


class InvalidInput(TranscribeError):
    """The request, or the recording in it, cannot be worked on; trying again will not help."""

    code = "invalid_input"

    def __init__(self, message: str, *, field: str | None = None, code: str | None = None) -> None:
        super().__init__(message)
        #: Name of the request field that is wrong, when there is one.
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
    """There is no such job, or no longer."""


class Conflict(TranscribeError):
    """The job is in a state in which this cannot be done."""

    code = "conflict"

    def __init__(self, message: str, **details: Any) -> None:
        super().__init__(message)
        #: What the caller should know of the present state.
        self.details = details


class EditConflict(Conflict):
    """What the caller saw is not what is there now."""

    code = "changed_meanwhile"


class Unauthorized(TranscribeError):
    """A key is asked for, and none that opens the service was sent."""

    code = "unauthorized"


class InvalidApiKey(Unauthorized):
    """A key was sent, and it is none of ours, or none any more."""


class Forbidden(TranscribeError):
    """The key does not allow this."""

    code = "forbidden"


class CrossOrigin(Forbidden):
    """A page of another site had a browser send this."""

    code = "cross_origin"


class WrongHost(TranscribeError):
    """The request asks for a name that is not the service's."""

    code = "wrong_host"


class RequestTimeout(TranscribeError):
    """The body did not arrive in time."""

    code = "request_timeout"


class RateLimited(TranscribeError):
    """More requests in a minute than are allowed."""

    code = "rate_limited"

    def __init__(self, message: str, *, retry_in: float) -> None:
        super().__init__(message)
        #: Seconds after which a request is allowed again.
        self.retry_in = retry_in


class SettingsError(TranscribeError):
    """A setting is wrong; the message names the variable and what is allowed."""

    code = "bad_setting"


class DataDirectoryError(TranscribeError):
    """Nothing can be kept in the data directory; the message says why. For operators alone."""

    code = "data_directory"


class DatabaseDamaged(TranscribeError):
    """The file of the database is damaged; the message names it. For operators alone."""

    code = "database_damaged"


class EngineError(TranscribeError):
    """A speech engine or a diarizer could not do its work."""

    code = "engine_failed"


class KillsWorker(TranscribeError):
    """Every worker that began with it was gone before it was done."""

    code = "worker_lost"


class Transient(TranscribeError):
    """Something that may be over in a moment: storage, broker, database or a remote engine."""

    code = "try_again"

    def __init__(self, message: str, *, retry_in: float = 2.0) -> None:
        super().__init__(message)
        #: Seconds to wait at least before the next try.
        self.retry_in = retry_in


class Unavailable(Transient):
    """A part of the service that is needed now is down."""

    code = "unavailable"


class StorageFull(Unavailable):
    """The disk has no room beyond its reserve; nobody but an operator or retention makes some."""

    code = "storage_full"
