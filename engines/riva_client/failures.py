"""Convert failed calls to Riva to errors: wait for the server, retry the chunk, or give up.

The status alone is not enough. Riva reports its own faults as INVALID_ARGUMENT, and gRPC reports
wrong certificates and ports as UNAVAILABLE, so the details are checked too. Callers get only Riva's
message about a request, since other details may contain addresses.
"""

from __future__ import annotations

import logging
import re

import grpc
from grpc import StatusCode

from core.errors import EngineError, TranscribeError, Transient, Unavailable

log = logging.getLogger(__name__)

#: Characters of the server's message that callers get.
_MAX_CHARACTERS = 300

_CONFIGURATION_FAULT = re.compile(
    r"CERTIFICATE_VERIFY_FAILED|WRONG_VERSION_NUMBER|Hostname Verification|security handshaker|"
    r"Failed parsing HTTP/2",
    re.IGNORECASE,
)
_SERVER_FAULT = re.compile(
    r"CUDA|illegal memory|out of memory|START flag|inference|Triton|timed? ?out", re.IGNORECASE
)
_TOO_LARGE = "larger than max"

_SENTENCES = {
    StatusCode.UNAVAILABLE: "Riva does not answer",
    StatusCode.RESOURCE_EXHAUSTED: "Riva is overloaded",
    StatusCode.DEADLINE_EXCEEDED: "Riva did not answer in time",
    StatusCode.UNAUTHENTICATED: "Riva does not accept the key in RIVA_API_KEY",
    StatusCode.PERMISSION_DENIED: "Riva does not allow this with the key in RIVA_API_KEY",
    StatusCode.NOT_FOUND: "Riva has no function with the ID in RIVA_FUNCTION_ID",
    StatusCode.UNIMPLEMENTED: "the server at RIVA_URI is not a Riva speech recognition service",
}
#: Errors that may not recur with the next attempt, which is counted.
_TRANSIENT_CODES = {
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.INTERNAL,
    StatusCode.ABORTED,
    StatusCode.UNKNOWN,
    StatusCode.DATA_LOSS,
    # This client cancels nothing, so a proxy or a stopping server did.
    StatusCode.CANCELLED,
}


class MessageTooLarge(EngineError):
    """The audio or the response exceeds the limit of one message."""


def convert_error(error: grpc.RpcError) -> TranscribeError:
    """Return the error that the step should raise instead."""
    code, details = error.code(), error.details() or ""
    log.warning("Riva: %s: %s", code.name, details)
    match code:
        case StatusCode.UNAVAILABLE if _CONFIGURATION_FAULT.search(details):
            return EngineError("cannot connect to Riva: RIVA_URI or a certificate is wrong")
        case StatusCode.UNAVAILABLE:
            return Unavailable(_SENTENCES[code])
        case StatusCode.RESOURCE_EXHAUSTED if _TOO_LARGE in details:
            return MessageTooLarge(
                "a chunk is larger than Riva accepts in one message; lower CHUNK_DURATION"
            )
        case StatusCode.RESOURCE_EXHAUSTED:
            return Unavailable(_SENTENCES[code])
        case StatusCode.INVALID_ARGUMENT if _SERVER_FAULT.search(details):
            return Transient("Riva had an internal error")
        case StatusCode.INVALID_ARGUMENT:
            return EngineError(f"Riva refused the request: {details[:_MAX_CHARACTERS]}")
        case StatusCode.INTERNAL if "Invalid metadata" in details:
            return EngineError(
                "RIVA_API_KEY or RIVA_FUNCTION_ID contains characters that cannot be sent"
            )
    kind = Transient if code in _TRANSIENT_CODES else EngineError
    return kind(_SENTENCES.get(code, f"Riva failed ({code.name})"))
