"""What a failed call to Riva means: wait for the server, try the chunk again, or give it up.

The status alone does not tell. Riva puts faults of its own into INVALID_ARGUMENT, and gRPC puts
wrong certificates and wrong ports into UNAVAILABLE, so what is said beside it is read too. None of
that goes to callers but what Riva says of a request: the rest may name addresses.
"""

from __future__ import annotations

import logging
import re

import grpc
from grpc import StatusCode

from core.errors import EngineError, TranscribeError, Transient, Unavailable

log = logging.getLogger(__name__)

#: Characters of the server's own words that a caller is shown.
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
    StatusCode.RESOURCE_EXHAUSTED: "Riva has too much to do",
    StatusCode.DEADLINE_EXCEEDED: "Riva did not answer in time",
    StatusCode.UNAUTHENTICATED: "Riva does not accept the key in RIVA_API_KEY",
    StatusCode.PERMISSION_DENIED: "Riva does not allow this with the key in RIVA_API_KEY",
    StatusCode.NOT_FOUND: "Riva does not know the function in RIVA_FUNCTION_ID",
    StatusCode.UNIMPLEMENTED: "what answers at RIVA_URI is no Riva speech recognition",
}
#: May be over with the next try, which is counted.
_TRANSIENT_CODES = {
    StatusCode.DEADLINE_EXCEEDED,
    StatusCode.INTERNAL,
    StatusCode.ABORTED,
    StatusCode.UNKNOWN,
    StatusCode.DATA_LOSS,
    # We cancel nothing, so a proxy or a server that ends did.
    StatusCode.CANCELLED,
}


class MessageTooLarge(EngineError):
    """The sound or the answer is more than one message may hold."""


def convert_error(error: grpc.RpcError) -> TranscribeError:
    """The error that the step should raise instead."""
    code, details = error.code(), error.details() or ""
    log.warning("Riva: %s: %s", code.name, details)
    match code:
        case StatusCode.UNAVAILABLE if _CONFIGURATION_FAULT.search(details):
            return EngineError("Riva is not reached: RIVA_URI or a certificate is wrong")
        case StatusCode.UNAVAILABLE:
            return Unavailable(_SENTENCES[code])
        case StatusCode.RESOURCE_EXHAUSTED if _TOO_LARGE in details:
            return MessageTooLarge(
                "a chunk is more than Riva takes in one message; lower CHUNK_DURATION"
            )
        case StatusCode.RESOURCE_EXHAUSTED:
            return Unavailable(_SENTENCES[code])
        case StatusCode.INVALID_ARGUMENT if _SERVER_FAULT.search(details):
            return Transient("Riva failed by itself")
        case StatusCode.INVALID_ARGUMENT:
            return EngineError(f"Riva refuses the request: {details[:_MAX_CHARACTERS]}")
        case StatusCode.INTERNAL if "Invalid metadata" in details:
            return EngineError("RIVA_API_KEY or RIVA_FUNCTION_ID cannot be sent as it is")
    kind = Transient if code in _TRANSIENT_CODES else EngineError
    return kind(_SENTENCES.get(code, f"Riva failed ({code.name})"))
